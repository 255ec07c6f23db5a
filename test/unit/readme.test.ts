import { existsSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { SETTINGS } from '../../src/config.ts';
import { MEANINGS } from '../../src/core/errors.ts';

const README = readFileSync(new URL('../../README.md', import.meta.url), 'utf8');

/** Rows of the table below a heading, cell by cell, without header and rule. */
function tableBelow(heading: string): string[][] {
  const section = README.split(`## ${heading}\n`)[1]?.split('\n## ')[0] ?? '';
  return section
    .split('\n')
    .filter((line) => line.startsWith('| '))
    .slice(2)
    .map((line) => line.slice(2, -2).split(' | '));
}

test('the README lists every error code with the meaning and remedy that the code gives it', () => {
  const documented = tableBelow('Error codes');
  expect(documented).toEqual(
    Object.entries(MEANINGS).map(([code, { meaning, remedy }]) => [`\`${code}\``, meaning, remedy]),
  );
});

test('the README lists every setting with its default and what it does', () => {
  const settings = Object.entries(SETTINGS).map(([name, setting]) => {
    const preset = 'default' in setting ? setting.default : undefined;
    const shown = preset === '' ? 'none' : `\`${preset}\``;
    const unset = 'optional' in setting ? '–' : 'required';
    return [`\`${name}\``, preset === undefined ? unset : shown, setting.about];
  });
  expect(tableBelow('Settings')).toEqual(settings);
});

test('every file and folder of ours that the README names is there', () => {
  const root = new URL('../../', import.meta.url);
  const named = README.matchAll(/(?<![\w./-])(?:src|test|deploy|migrations)\/[\w./-]*\w/g);
  const paths = [...new Set([...named].map(([path]) => path))];
  expect(paths.length).toBeGreaterThan(20);
  expect(paths.filter((path) => !existsSync(new URL(path, root)))).toEqual([]);
});
