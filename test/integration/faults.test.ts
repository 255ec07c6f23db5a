import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { HOUR, MINUTE, SECOND } from '../../src/core/china-time.ts';
import type { ErrorCode } from '../../src/core/errors.ts';
import { balances } from '../../src/core/receipt.ts';
import type { Injection, Match } from '../../src/simulator/fault-plan.ts';
import { FAULT_NAMES, type Fault } from '../../src/simulator/faults.ts';
import { EXPIRE_TIME_FORMS } from '../../src/simulator/platform.ts';
import { PROBE_EVERY } from '../../src/store/platform-state.ts';
import { type Harness, openHarness } from '../support/sync-harness.ts';

const FEED = { dataset: 'meters', orgCode: 'WJ0105' } as const;
const TOKEN: Match = { interface: '1002' };

let h: Harness;
/** How long the ledger of faults was when the test began. */
let ledger = 0;

// One for all: a database for each of so many faults would take longer than the faults.
beforeAll(async () => {
  h = await openHarness({
    world: { subscribersPerOrg: 60, changesPerDay: 20 },
    client: { connectTimeout: 1_000, idleTimeout: 500, totalTimeout: 2_000, maxBody: 32 * 2 ** 20 },
  });
  await h.addOrgs(['WJ0105']);
  await h.runAll();
});

beforeEach(async () => {
  await h.simulator.faults.clear();
  ledger = h.simulator.injected.length;
  expect(await run()).toBe('loads');
  anHourLater();
});

afterAll(async () => {
  await h.close();
});

/** How a run ended: `loads`, or its error's code. */
async function run(): Promise<string> {
  try {
    await h.run(FEED.dataset, FEED.orgCode);
    return 'loads';
  } catch (error) {
    return (error as { code?: string }).code ?? String(error);
  }
}

async function coverage(): Promise<string> {
  const [row] = await h.query<{ coverage: string }>(
    'select coverage::text from vcc.feed where dataset = $1 and org_code = $2',
    [FEED.dataset, FEED.orgCode],
  );
  return row!.coverage;
}

/** What was injected since the test began. */
function injected(): readonly Injection[] {
  return h.simulator.injected.slice(ledger);
}

/**
 * Bad lines that were served since the test began and are not stored, and rejects that were never served.
 * Which lines are superseded is only found out by loading them, so a run that fails may lack those.
 */
async function badLines(): Promise<{ missing: string[]; invented: string[] }> {
  const linesOf = (some: readonly Injection[]) =>
    some.flatMap((one) => one.badLines.map(({ reason, hash }) => `${reason} ${hash}`));
  const rows = await h.query<{ reason: string; line_hash: string }>(
    'select reason, line_hash from vcc.reject',
  );
  const stored = new Set(rows.map(({ reason, line_hash }) => `${reason} ${line_hash}`));
  const ever = new Set(linesOf(h.simulator.injected));
  return {
    missing: linesOf(injected()).filter((line) => !stored.has(line)),
    invented: [...stored].filter((line) => !ever.has(line)),
  };
}

/** The world goes on for an hour; the feed has then something to load that it has not seen. */
function anHourLater(): void {
  h.now += HOUR;
  h.world.change(240, h.now - 10 * MINUTE);
}

/** Whatever befell: with the fault gone, the next run makes the copy equal and no run is left open. */
async function expectRecovery(): Promise<void> {
  await h.simulator.faults.clear();
  // Where the queue waits as a whole, a probe comes half a minute later.
  h.now += PROBE_EVERY + SECOND;
  expect(await run()).toBe('loads');
  await h.expectEqual([FEED.dataset]);
  const runs = await h.query<Parameters<typeof balances>[0] & { status: string }>(
    'select * from vcc.run',
  );
  expect(runs.filter(({ status }) => status === 'running')).toEqual([]);
  for (const one of runs) if (one.status === 'done') expect(balances(one)).toBe(true);
}

type Case = readonly [fault: Fault, outcome: ErrorCode | 'loads'];

/** Every fault that befalls the download, and what the run comes to (P5). */
const DOWNLOAD: readonly Case[] = [
  [{ kind: 'connection-destroyed' }, 'SOURCE_UNAVAILABLE'],
  [{ kind: 'no-answer' }, 'DOWNLOAD_TIMEOUT'],
  [{ kind: 'reset-in-body', share: 0 }, 'TRUNCATED'],
  [{ kind: 'reset-in-body', share: 0.9 }, 'TRUNCATED'],
  [{ kind: 'reset-in-body', coding: 'gzip' }, 'TRUNCATED'],
  [{ kind: 'cut-with-length', share: 0 }, 'TRUNCATED'],
  [{ kind: 'cut-with-length', share: 1 }, 'TRUNCATED'],
  [{ kind: 'cut-with-length', coding: 'gzip', share: 1 }, 'TRUNCATED'],
  [{ kind: 'cut-without-length' }, 'TRUNCATED'],
  [{ kind: 'cut-without-length', share: 1 }, 'TRUNCATED'],
  [{ kind: 'cut-without-length', share: 1, coding: 'gzip' }, 'TRUNCATED'],
  [{ kind: 'unframed-body' }, 'TRUNCATED'],
  [{ kind: 'unframed-body', coding: 'gzip' }, 'TRUNCATED'],
  [{ kind: 'unframed-cut-body' }, 'TRUNCATED'],
  [{ kind: 'unframed-cut-body', coding: 'gzip' }, 'TRUNCATED'],
  [{ kind: 'stalled-body' }, 'DOWNLOAD_TIMEOUT'],
  [{ kind: 'stalled-body', share: 0 }, 'DOWNLOAD_TIMEOUT'],
  [{ kind: 'stalled-body', coding: 'gzip' }, 'DOWNLOAD_TIMEOUT'],
  [{ kind: 'dripping-body' }, 'loads'],
  [{ kind: 'dripping-body', pieces: 100, ms: 100 }, 'DOWNLOAD_TIMEOUT'],
  [{ kind: 'endless-body' }, 'TOO_LARGE'],
  [{ kind: 'gzip-bomb' }, 'TOO_LARGE'],
  [{ kind: 'gzip-bomb', bytes: 2 ** 20 }, 'TRUNCATED'],
  [{ kind: 'too-many-requests' }, 'RATE_LIMITED'],
  [{ kind: 'too-many-requests', retryAfter: 'seconds' }, 'RATE_LIMITED'],
  [{ kind: 'unavailable' }, 'SOURCE_UNAVAILABLE'],
  [{ kind: 'unavailable', retryAfter: 'date' }, 'SOURCE_UNAVAILABLE'],
  [{ kind: 'html-page' }, 'NOT_A_TABLE'],
  [{ kind: 'json-error-as-text' }, 'PLATFORM_ERROR'],
  [{ kind: 'success-without-table' }, 'NOT_A_TABLE'],
  [{ kind: 'empty-body' }, 'NOT_A_TABLE'],
  [{ kind: 'not-granted' }, 'PLATFORM_ERROR'],
  [{ kind: 'maintenance' }, 'NOT_A_TABLE'],
  [{ kind: 'maintenance', as: 'unavailable' }, 'SOURCE_UNAVAILABLE'],
  [{ kind: 'tokens-die' }, 'loads'],
  [{ kind: 'tokens-die-midway' }, 'loads'],
  [{ kind: 'token-stolen' }, 'loads'],
  [{ kind: 'clock', offset: 10 * MINUTE }, 'loads'],
  [{ kind: 'clock', offset: -10 * MINUTE }, 'loads'],
  [{ kind: 'duplicate-column' }, 'HEADER_MISMATCH'],
  [{ kind: 'duplicate-column', column: 4 }, 'HEADER_MISMATCH'],
  [{ kind: 'reordered-columns' }, 'loads'],
  [{ kind: 'missing-required-column' }, 'HEADER_MISMATCH'],
  [{ kind: 'missing-required-column', column: 3 }, 'HEADER_MISMATCH'],
  [{ kind: 'extra-column' }, 'loads'],
  [{ kind: 'extra-column', column: 10 }, 'loads'],
  [{ kind: 'gbk' }, 'loads'],
  [{ kind: 'gbk', named: 'UTF-8' }, 'loads'],
  [{ kind: 'gbk', named: 'none' }, 'loads'],
  [{ kind: 'bom' }, 'loads'],
  [{ kind: 'crlf' }, 'loads'],
  [{ kind: 'wrong-table' }, 'HEADER_MISMATCH'],
  [{ kind: 'wrong-table', column: 1 }, 'HEADER_MISMATCH'],
  [{ kind: 'wrong-table', column: 2 }, 'HEADER_MISMATCH'],
  [{ kind: 'bad-lines', share: 0.04 }, 'loads'],
  [{ kind: 'bad-lines', share: 0.2, reasons: ['superseded'] }, 'loads'],
  [{ kind: 'bad-lines', share: 0.7 }, 'TOO_MANY_REJECTS'],
  [{ kind: 'long-lines', count: 2 }, 'loads'],
  [{ kind: 'nuls' }, 'loads'],
  [{ kind: 'invalid-utf8' }, 'loads'],
];

/** Faults that befall getToken, and what the run comes to. */
const TOKEN_CALL: readonly Case[] = [
  [{ kind: 'connection-destroyed' }, 'SOURCE_UNAVAILABLE'],
  [{ kind: 'no-answer' }, 'SOURCE_UNAVAILABLE'],
  [{ kind: 'reset-in-body' }, 'SOURCE_UNAVAILABLE'],
  [{ kind: 'cut-with-length' }, 'SOURCE_UNAVAILABLE'],
  [{ kind: 'cut-without-length', share: 1 }, 'SOURCE_UNAVAILABLE'],
  [{ kind: 'stalled-body' }, 'SOURCE_UNAVAILABLE'],
  [{ kind: 'dripping-body' }, 'loads'],
  [{ kind: 'too-many-requests' }, 'RATE_LIMITED'],
  [{ kind: 'unavailable' }, 'SOURCE_UNAVAILABLE'],
  [{ kind: 'html-page' }, 'NOT_A_TABLE'],
  [{ kind: 'json-error-as-text' }, 'CREDENTIALS'],
  [{ kind: 'success-without-table' }, 'PLATFORM_ERROR'],
  [{ kind: 'empty-body' }, 'NOT_A_TABLE'],
  [{ kind: 'maintenance' }, 'NOT_A_TABLE'],
  [{ kind: 'maintenance', as: 'unavailable' }, 'SOURCE_UNAVAILABLE'],
  [{ kind: 'tokens-die-midway' }, 'loads'],
  ...EXPIRE_TIME_FORMS.map((expireTime): Case => [{ kind: 'token-rules', expireTime }, 'loads']),
];

/** Runs into a fault once, and sees that it is classed right and leaves nothing behind. */
async function expectOutcome([fault, outcome]: Case, match: Match): Promise<void> {
  h.simulator.faults.once(match, fault);
  const before = await coverage();
  expect(await run()).toBe(outcome);
  expect(injected().map(({ kind }) => kind)).toEqual([fault.kind]);
  const { missing, invented } = await badLines();
  expect(invented).toEqual([]);
  if (outcome === 'loads') {
    expect(await coverage()).not.toBe(before);
    expect(missing).toEqual([]);
  } else {
    expect(await coverage()).toBe(before);
    expect(missing.filter((line) => !line.startsWith('superseded'))).toEqual([]);
  }
  await expectRecovery();
}

const titled = (cases: readonly Case[]) =>
  cases.map((each) => [JSON.stringify(each[0]), each[1], each] as const);

describe('a download', () => {
  it.each(titled(DOWNLOAD))('%s: %s', async (_fault, _outcome, each) => {
    await expectOutcome(each, { dataset: 'meters' });
  });
});

describe('a request for a token', () => {
  it.each(titled(TOKEN_CALL))('%s: %s', async (_fault, _outcome, each) => {
    await h.query('delete from vcc.session_token');
    await expectOutcome(each, TOKEN);
  });
});

describe('every kind of fault', () => {
  it('is tried here', () => {
    const tried = new Set([...DOWNLOAD, ...TOKEN_CALL].map(([{ kind }]) => kind));
    const elsewhere = ['listener-closed', 'missing-optional-column'];
    expect([...tried, ...elsewhere].sort()).toEqual([...FAULT_NAMES].sort());
  });
});

describe('a fault that lasts', () => {
  it('may be that nobody listens, until somebody does again', async () => {
    const listen = h.simulator.faults.during({}, { kind: 'listener-closed' });
    expect(await run()).toBe('SOURCE_UNAVAILABLE');
    await listen();
    await expectRecovery();
  });

  it('may be a listener that is gone for a moment after one request', async () => {
    h.simulator.faults.once({ dataset: 'meters' }, { kind: 'listener-closed', ms: 30_000 });
    expect(await run()).toBe('SOURCE_UNAVAILABLE');
    expect(await run()).toBe('SOURCE_UNAVAILABLE');
    expect(injected()).toHaveLength(1);
    await expectRecovery();
  });

  it('may be tokens that die before each call: a renewed one is tried once', async () => {
    h.simulator.faults.during({ dataset: 'meters' }, { kind: 'tokens-die' });
    await h.query('delete from vcc.session_token');
    const issued = h.simulator.tokensIssued;
    expect(await run()).toBe('TOKEN_REFUSED');
    expect(h.simulator.tokensIssued).toBe(issued + 2);
    await expectRecovery();
  });

  it('may be maintenance of everything, token and all, up to its hour', async () => {
    const end = h.now + HOUR;
    h.simulator.faults.during({}, { kind: 'maintenance' }, end);
    expect(await run()).toBe('NOT_A_TABLE');
    h.now = end - SECOND;
    expect(await run()).toBe('NOT_A_TABLE');
    h.now = end;
    expect(await run()).toBe('loads');
    await expectRecovery();
  });

  it('may be one dataset that is refused while others work', async () => {
    h.simulator.faults.during({ orgCode: 'WJ0105', dataset: 'meters' }, { kind: 'not-granted' });
    expect(await run()).toBe('PLATFORM_ERROR');
    for (const name of ['addresses', 'subscribers'] as const) await h.run(name, 'WJ0105');
    await h.expectEqual(['addresses', 'subscribers']);
    await expectRecovery();
  });

  it('may be an optional column that is missing: what it holds comes with the next full delivery', async () => {
    const off = h.simulator.faults.during({}, { kind: 'missing-optional-column' });
    expect(await run()).toBe('loads');
    const flagged = await h.query("select 1 from vcc.meter where 'location:absent' = any (flags)");
    expect(flagged.length).toBeGreaterThan(0);
    await off();
    await h.query("update vcc.feed set coverage = '{}'");
    await expectRecovery();
  });
});

describe('a clock of the platform that is set', () => {
  const AHEAD = 10 * MINUTE;

  // What is missed here is no matter of the next test.
  afterEach(async () => {
    await h.query("update vcc.feed set coverage = '{}'");
  });

  it.each([
    ['back', AHEAD],
    ['forward', -AHEAD],
  ])('%s hides no change', async (_, offset) => {
    const setRight = h.simulator.faults.during({}, { kind: 'clock', offset });
    expect(await run()).toBe('loads');
    // Now the difference is known, and windows go by it.
    h.now += HOUR;
    expect(await run()).toBe('loads');
    await setRight();
    // Changes of the time that was told to be over, or that the clock leapt over.
    h.now += 4 * MINUTE;
    h.world.change(100, h.now - 2 * MINUTE);
    for (const pause of [0, HOUR]) {
      h.now += pause;
      expect(await run()).toBe('loads');
    }
    await h.expectEqual([FEED.dataset]);
  });
});

describe('faults by order of another process', () => {
  async function control(method: string, path: string, order?: object): Promise<[number, string]> {
    const body = order === undefined ? null : JSON.stringify(order);
    const answer = await fetch(`${h.simulator.origin}/control/${path}`, { method, body });
    return [answer.status, await answer.text()];
  }

  const during = { mode: 'during', match: { dataset: 'meters' }, fault: { kind: 'empty-body' } };

  it('are injected, told of and switched off one by one or all at once', async () => {
    const order = { mode: 'once', match: { orgCode: 'WJ0105' }, fault: { kind: 'nuls', count: 2 } };
    expect((await control('POST', 'faults', order))[0]).toBe(200);
    expect(await run()).toBe('loads');
    const [status, lines] = await control('GET', 'injected');
    const last = JSON.parse(lines.trimEnd().split('\n').at(-1) ?? '');
    expect([status, last]).toEqual([200, injected()[0]]);
    expect(last.badLines).toHaveLength(2);
    const { id } = JSON.parse((await control('POST', 'faults', during))[1]);
    expect(await run()).toBe('loads');
    anHourLater();
    expect(await run()).toBe('NOT_A_TABLE');
    expect((await control('DELETE', `faults?id=${id}`))[0]).toBe(200);
    expect((await control('DELETE', `faults?id=${id}`))[0]).toBe(404);
    expect(await run()).toBe('loads');
    await control('POST', 'faults', { mode: 'random', seed: 1, rate: 1, kinds: ['html-page'] });
    anHourLater();
    expect(await run()).toBe('NOT_A_TABLE');
    expect((await control('DELETE', 'faults'))[0]).toBe(200);
    expect(await run()).toBe('loads');
  });

  it('are refused with what is wrong with them', async () => {
    const refused = async (order: object, what: RegExp) => {
      const [status, text] = await control('POST', 'faults', order);
      expect([status, text]).toEqual([400, expect.stringMatching(what)]);
    };
    await refused({}, /mode/);
    await refused({ ...during, fault: { kind: 'flood' } }, /no such kind/);
    await refused({ ...during, fault: { kind: 'bom', deep: 1 } }, /deep/);
    await refused({ ...during, match: { dataset: 'gas' } }, /dataset/);
    await refused({ mode: 'random', seed: 1, rate: 7 }, /rate/);
    expect((await control('PUT', 'faults'))[0]).toBe(405);
  });
});

describe('faults at random', () => {
  it('leave rows, rejects and coverage right once they are over', {
    timeout: 120_000,
  }, async () => {
    // Quick ones only: what waits for a timeout is tried above.
    const kinds = FAULT_NAMES.filter(
      (kind) =>
        !/^(listener-closed|no-answer|stalled-body|maintenance|clock|missing-optional-column|endless-body|gzip-bomb|long-lines)$/.test(
          kind,
        ),
    );
    h.simulator.faults.random({ seed: 11, rate: 0.6, kinds });
    for (let round = 0; round < 60; round += 1) {
      anHourLater();
      await run();
    }
    expect(new Set(injected().map(({ kind }) => kind)).size).toBeGreaterThan(15);
    await expectRecovery();
    const { missing, invented } = await badLines();
    expect(invented).toEqual([]);
    expect(missing.filter((line) => !line.startsWith('superseded'))).toEqual([]);
  });
});
