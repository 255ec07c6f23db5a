import { readFileSync } from 'node:fs';
import { parseEnv } from 'node:util';
import { expect, test } from 'vitest';
import { SETTINGS } from '../../src/config.ts';

const TEXT = readFileSync(new URL('../../.env.example', import.meta.url), 'utf8');

/** Settings as the file shows them: the line about each, and its default or null. */
function readExample(): { name: string; about: string; preset: string | null }[] {
  const entries = TEXT.matchAll(/^# (.+)\n(# )?([A-Z_]+)=(.*)$/gm);
  return [...entries].map(([, about, commented, name, value]) => ({
    name: name!,
    about: about!,
    preset: commented ? value! : null,
  }));
}

test('every setting is explained with its default, in the order of config.ts', () => {
  const settings: [string, { about: string; default?: string }][] = Object.entries(SETTINGS);
  expect(readExample()).toEqual(
    settings.map(([name, setting]) => ({
      name,
      about: setting.about,
      preset: setting.default ?? null,
    })),
  );
});

test('a copy of the file sets nothing that has a default', () => {
  const required = Object.entries(SETTINGS)
    .filter(([, setting]) => !('default' in setting))
    .map(([name]) => [name, '']);
  expect(parseEnv(TEXT)).toEqual(Object.fromEntries(required));
});
