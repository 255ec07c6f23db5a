import { once } from 'node:events';
import { afterEach, beforeEach, expect, onTestFinished, test } from 'vitest';
import { DAY, HOUR } from '../../src/core/china-time.ts';
import { reach } from '../../src/core/window.ts';
import { eventually } from '../support/eventually.ts';
import { outputOf, spawnCommand } from '../support/service-process.ts';
import { APP_ID, BASE_KEY, type Harness, openHarness } from '../support/sync-harness.ts';
import { tableContents } from '../support/table-contents.ts';

let h: Harness;

beforeEach(async () => {
  h = await openHarness({
    now: Math.floor(Date.now() / 1000) * 1000,
    world: {
      orgs: [
        { code: 'WJ0105', name: '吴江' },
        { code: 'NJ0001', name: '南京' },
      ],
      subscribersPerOrg: 20,
    },
    simulator: { clock: Date.now },
  });
  await h.addOrgs(['WJ0105', 'NJ0001']);
});

afterEach(() => h.close());

const iso = (at: number) => new Date(at).toISOString();

function start(args: string) {
  const child = spawnCommand(['resync', ...args.split(' ')], {
    DATABASE_URL: h.databaseUrl,
    VCC_BASE_URL: h.simulator.url,
    VCC_APP_ID: APP_ID,
    VCC_BASE_KEY: BASE_KEY,
    LOG_LEVEL: 'silent',
  });
  onTestFinished(() => void child.kill('SIGKILL'));
  return child;
}

async function resync(args: string) {
  const child = start(args);
  return outputOf(child);
}

test('a preview shows what several organisations would get, and what can not be had', async () => {
  // The token is there, and the clock's difference known: what changes from here on is not allowed to.
  await h.run('addresses', 'WJ0105');
  const before = await tableContents(h.store.pool);
  const from = reach(h.now) - DAY;
  const to = h.now - HOUR;
  const wish = `--org WJ0105,NJ0001 --dataset meters --from ${iso(from)} --to ${iso(to)}`;
  const table = await resync(`${wish} --preview`);
  expect(table).toMatchObject({ code: 0 });
  expect(table.stdout).toMatch(/^ORG +DATASET +WINDOW FROM +TO +LINES +INSERTED/);
  expect(table.stdout).toMatch(/\nNJ0001 +meters /);
  expect(table.stderr).toMatch(/can no longer be had from the platform/);
  expect(table.stderr).toMatch(/nothing was recorded or changed/);
  const json = await resync(`${wish} --preview --json --force`);
  expect(json.code).toBe(0);
  const windows = JSON.parse(json.stdout);
  expect(new Set(windows.map((one: { org_code: string }) => one.org_code))).toEqual(
    new Set(['WJ0105', 'NJ0001']),
  );
  for (const one of windows) {
    expect(one).toMatchObject({ dataset: 'meters', state: 'counted', too_many_rejects: false });
    expect(one.accepted).toBe(one.inserted + one.duplicate);
  }
  const { 'vcc.platform_state': _, ...after } = await tableContents(h.store.pool);
  const { 'vcc.platform_state': __, ...unchanged } = before;
  expect(after).toEqual(unchanged);
});

test('a preview of what can not be had at all is refused, and of unknown feeds too', async () => {
  const long = `--from ${iso(reach(h.now) - 2 * DAY)} --to ${iso(reach(h.now) - DAY)} --preview`;
  const gone = await resync(`--org WJ0105 --dataset meters ${long}`);
  expect(gone).toMatchObject({ code: 2, stdout: '' });
  expect(gone.stderr).toMatch(/out of reach/);
  const when = `--from ${iso(h.now - DAY)} --to ${iso(h.now - HOUR)} --preview`;
  const unknown = await resync(`--org WJ0105,XX1 --dataset meters ${when}`);
  expect(unknown).toMatchObject({ code: 2, stdout: '' });
  expect(unknown.stderr).toMatch(/organisation XX1 is not known/);
});

test('a preview ends when the command is stopped, and fails where a window can not be had', async () => {
  let asked = 0;
  h.interfere = ({ url }) => {
    if (!url?.includes('/download')) return false;
    asked += 1;
    return true;
  };
  const wish = `--org WJ0105 --dataset meters --from ${iso(h.now - DAY)} --to ${iso(h.now - HOUR)}`;
  const child = start(`${wish} --preview`);
  const ended = once(child, 'close') as Promise<[number | null]>;
  await eventually(() => expect(asked).toBe(1));
  child.kill('SIGINT');
  expect((await ended)[0]).toBe(1);
  h.interfere = ({ url }, response) => {
    if (!url?.includes('/download')) return false;
    response.statusCode = 503;
    response.end();
    return true;
  };
  const failed = await resync(`${wish} --preview`);
  expect(failed.code).toBe(1);
  expect(failed.stdout).toMatch(/SOURCE_UNAVAILABLE/);
});
