import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, onTestFinished, test } from 'vitest';
import { eventually } from '../support/eventually.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const BENCH = ['--import', 'tsx', 'test/bench/main.ts'];

/** A temporary folder that any user may enter, as the server's must. */
async function temporaryFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'vcc-sync-temporary-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  await promisify(execFile)('chmod', ['755', folder]);
  return folder;
}

/** What the bench has left in a folder; its loader keeps a cache there, too. */
async function leftIn(folder: string): Promise<string[]> {
  return (await readdir(folder)).filter((name) => name.startsWith('vcc-sync'));
}

test('a quick run prints its tables, writes its figures and leaves nothing behind', async () => {
  const folder = await temporaryFolder();
  const output = await temporaryFolder();
  const json = join(output, 'figures.json');
  const args = ['--rows', '2000', '--rounds', '1', '--only', 'unchanged', '--json', json];
  const { stdout } = await promisify(execFile)(process.execPath, [...BENCH, ...args], {
    cwd: ROOT,
    env: { ...process.env, TMPDIR: folder },
  });

  expect(stdout).toMatch(/^\(b\) the same again, unchanged$/m);
  expect(stdout).toMatch(/^vcc-sync +[\d.]+ s .* 1\.00$/m);
  expect(stdout).toMatch(/^\(b\) unchanged: .* (met|NOT MET|not measured)$/m);
  expect(stdout).toMatch(/^\(b\) unchanged: .* tuned +– .* (shown|not measured)$/m);
  const report = JSON.parse(await readFile(json, 'utf8'));
  const ours = report.figures.filter(({ what }: { what: string }) => what === 'vcc-sync');
  expect(ours).toEqual([
    expect.objectContaining({ load: 'unchanged', unit: 's', rows: 2000, toOurs: 1 }),
  ]);
  expect(report.machine.settings).toMatchObject({ fsync: 'on', synchronous_commit: 'on' });
  expect(report.targets).toHaveLength(21);
  expect(report.targets).toContainEqual(
    expect.objectContaining({
      about: '(b) unchanged: time to that of curl | psql',
      limit: 'at most 0.6 ×',
    }),
  );
  expect(report.failures).toEqual([]);
  expect(await leftIn(folder)).toEqual([]);
});

test('a contestant that fails leaves the figures of the others, and the run says so', async () => {
  const folder = await temporaryFolder();
  const json = join(await temporaryFolder(), 'figures.json');
  // Found before the one that is installed, if one is.
  const broken = join(folder, 'pgloader');
  await writeFile(broken, '#!/bin/sh\n[ "$1" = --version ] && echo pgloader 3\n', { mode: 0o755 });
  const args = ['--rows', '1000', '--rounds', '2', '--only', 'empty', '--json', json];
  const failed = await promisify(execFile)(process.execPath, [...BENCH, ...args], {
    cwd: ROOT,
    env: { ...process.env, PATH: `${folder}:${process.env.PATH}` },
  }).catch((error) => error);

  expect(failed.code).toBe(1);
  expect(failed.stdout).toMatch(/^FAILED empty: curl \| pgloader: /m);
  const report = JSON.parse(await readFile(json, 'utf8'));
  expect(report.failures).toMatchObject([{ load: 'empty', what: 'curl | pgloader' }]);
  const measured = report.figures.map(({ what }: { what: string }) => what);
  expect(measured).toContain('vcc-sync');
  expect(measured).not.toContain('curl | pgloader');
});

test('a run that is interrupted ends its servers and deletes its files', async () => {
  const folder = await temporaryFolder();
  const bench = spawn(process.execPath, [...BENCH, '--rows', '2000', '--only', 'empty'], {
    cwd: ROOT,
    env: { ...process.env, TMPDIR: folder },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const exited = once(bench, 'exit');
  for await (const line of createInterface({ input: bench.stderr })) {
    if (line.includes('round 1')) break;
  }
  bench.kill('SIGINT');
  expect(await exited).toEqual([130, null]);
  await eventually(async () => {
    expect(await leftIn(folder)).toEqual([]);
  });
});
