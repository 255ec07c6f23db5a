import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { checkOrg } from '../../src/cli/doctor-org.ts';
import type { Finding } from '../../src/cli/finding.ts';
import { DAY, HOUR, MINUTE } from '../../src/core/china-time.ts';
import { DATASET_NAMES } from '../../src/core/dataset.ts';
import { reach } from '../../src/core/window.ts';
import {
  type Simulator,
  type SimulatorOptions,
  startSimulator,
} from '../../src/simulator/simulator.ts';
import { createWorld, type World } from '../../src/simulator/world.ts';
import { createClient } from '../../src/vcc/client.ts';
import { runCommand } from '../support/command.ts';
import { useDatabase } from '../support/database.ts';
import { memoryTokens } from '../support/memory-tokens.ts';
import { APP_ID, BASE_KEY, clientSettings } from '../support/sync-harness.ts';

const NOW = Date.UTC(2026, 10, 20, 2);
const ORG = 'WJ0105';
const never = new AbortController().signal;

const closers: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

function worldUntil(until: number): World {
  return createWorld({
    seed: 4,
    orgs: [{ code: ORG, name: ORG }],
    bornAt: reach(until) + HOUR,
    until,
    subscribersPerOrg: 30,
    changesPerDay: 60,
  });
}

interface Stage {
  readonly simulator: Simulator;
  /** What is found of each check, by its name. */
  examine(): Promise<Record<string, Pick<Finding, 'result' | 'message'>>>;
}

async function stage(
  options: Partial<SimulatorOptions> = {},
  { now = NOW, world = worldUntil(NOW) } = {},
): Promise<Stage> {
  const simulator = await startSimulator({
    world,
    clock: () => now,
    appId: APP_ID,
    baseKey: BASE_KEY,
    reading: 'then',
    ...options,
  });
  closers.push(() => simulator.close());
  const client = createClient(clientSettings(simulator.url), {
    tokens: memoryTokens(),
    pacer: null,
    clock: () => now,
    log: () => {},
  });
  closers.push(() => client.close());
  return {
    simulator,
    async examine() {
      const findings: Finding[] = [];
      const org = { orgCode: ORG, areaCode: null, now };
      for await (const finding of checkOrg(client, org, never)) findings.push(finding);
      return Object.fromEntries(findings.map((one) => [one.check, one]));
    },
  };
}

const ends = (found: Record<string, Pick<Finding, 'result' | 'message'>>) =>
  DATASET_NAMES.map((name) => found[`windows of ${name}`]);

describe('doctor --org', () => {
  it.each(['then', 'now'] as const)(
    'finds nothing wrong where windows are minded (%s)',
    async (reading) => {
      const found = await (await stage({ reading })).examine();
      expect(Object.values(found).map(({ result }) => result)).toEqual(Array(9).fill('ok'));
      expect(found[`meters of ${ORG}`]?.message).toMatch(
        /^granted; \d+ rows changed within a day$/,
      );
    },
  );

  it('finds out, for each table, that lastTimestamp is ignored', async () => {
    for (const ignores of ['lastTimestamp', 'both'] as const) {
      const found = await (await stage({ ignores })).examine();
      for (const one of ends(found)) {
        expect(one).toMatchObject({ result: 'failed' });
        expect(one?.message).toMatch(/lastTimestamp is ignored$/);
      }
      expect(found).not.toHaveProperty('bounds of windows');
    }
  });

  it('finds out that timestamp is ignored, which is not as bad', async () => {
    const found = await (await stage({ ignores: 'timestamp' })).examine();
    for (const one of ends(found)) {
      expect(one).toMatchObject({ result: 'warning' });
      expect(one?.message).toMatch(/: timestamp is ignored$/);
    }
  });

  it.each([
    ['inclusive', 'ok', /is in both$/],
    ['half-open', 'ok', /is in one of them$/],
    ['exclusive', 'warning', /is in no window that begins or ends there$/],
  ] as const)('sees that bounds are %s', async (bounds, result, message) => {
    const found = await (await stage({ bounds })).examine();
    expect(found['bounds of windows']).toMatchObject({ result });
    expect(found['bounds of windows']?.message).toMatch(message);
  });

  it('names each table that is not granted, and looks at the others', async () => {
    const { simulator, examine } = await stage();
    simulator.refuse(ORG, 'supply_points');
    simulator.refuse(ORG, 'meters');
    const found = await examine();
    const results = DATASET_NAMES.map((name) => found[`${name} of ${ORG}`]?.result);
    expect(results).toEqual(['ok', 'failed', 'ok', 'failed']);
    expect(found[`meters of ${ORG}`]?.message).toMatch(/^PLATFORM_ERROR: resultCode 91031/);
    expect(found['bounds of windows']).toMatchObject({ result: 'ok' });
  });

  it('looks back a month where a day brings nothing, and says where nothing can be seen', async () => {
    const quiet = await (await stage({}, { now: NOW + 3 * DAY })).examine();
    expect(quiet[`meters of ${ORG}`]?.message).toMatch(/within a month$/);
    expect(ends(quiet).map((one) => one?.result)).toEqual(Array(4).fill('ok'));
    const dead = await (await stage({}, { now: NOW + 40 * DAY })).examine();
    expect(ends(dead).map((one) => one?.result)).toEqual(Array(4).fill('warning'));
    expect(dead[`meters of ${ORG}`]?.message).toBe('granted; 0 rows changed within a month');
  });

  it('is not misled by a single row that changed in the last second it looks at', async () => {
    const world = worldUntil(NOW - 30 * DAY);
    world.put('meters', ORG, { meter_code: 'M1', state: 'A' }, NOW - MINUTE);
    const found = await (await stage({}, { world })).examine();
    expect(found['windows of meters']).toMatchObject({ result: 'ok' });
  });
});

describe('the command', () => {
  const database = useDatabase();
  let simulator: Simulator;
  beforeAll(async () => {
    const world = worldUntil(Date.now());
    const options = { clock: Date.now, appId: APP_ID, baseKey: BASE_KEY, reading: 'then' } as const;
    simulator = await startSimulator({ world, ...options, dateSkew: 10 * MINUTE });
  });
  afterAll(() => simulator.close());

  it('prints what was found, the difference of the clocks too, with one token for all', async () => {
    await database.pool.query(`insert into vcc.org (org_code, area_code) values ($1, '7')`, [ORG]);
    simulator.refuse(ORG, 'meters');
    const { code, stdout, stderr } = await runCommand(['doctor', '--org', ORG, '--json'], {
      DATABASE_URL: database.url,
      VCC_BASE_URL: simulator.url,
      VCC_APP_ID: APP_ID,
      VCC_BASE_KEY: BASE_KEY,
    });
    expect([code, stderr]).toEqual([1, '']);
    const found: Finding[] = JSON.parse(stdout.toString());
    const resultOf = (check: string) => found.find((one) => one.check === check);
    expect(resultOf('clock of the platform')).toMatchObject({ result: 'warning' });
    expect(resultOf('clock of the platform')?.message).toMatch(/^\d+s ahead of ours$/);
    expect(resultOf('windows of addresses')).toMatchObject({ result: 'ok' });
    expect(resultOf(`meters of ${ORG}`)).toMatchObject({ result: 'failed' });
    expect(simulator.tokensIssued).toBe(1);
  });
});
