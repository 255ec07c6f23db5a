import { createHash } from 'node:crypto';
import { gunzipSync } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readTable } from '../../src/core/table/table-reader.ts';
import { CATALOGUE } from '../../src/datasets/catalogue.ts';
import { errorAnswer, tableAnswer } from '../../src/simulator/answer.ts';
import type { RequestRecord } from '../../src/simulator/call.ts';
import { type Act, bodyOf, type Victim } from '../../src/simulator/fault.ts';
import { createFaultPlan, type FaultPlan } from '../../src/simulator/fault-plan.ts';
import { FAULT_KINDS, FAULT_NAMES, type Fault, readyFault } from '../../src/simulator/faults.ts';
import { encodeGb18030 } from '../../src/simulator/gb18030.ts';
import { seededRandom } from '../../src/simulator/random.ts';
import { refusal } from '../../src/simulator/result-codes.ts';
import { tableOptions } from '../support/table-options.ts';

const ORG = 'WJ0105';
const NOW = Date.UTC(2026, 10, 20, 4);
const dataset = CATALOGUE.meters;
const NAMES = dataset.columns.map(({ header }) => header);

/** A table of so many meters. */
function table(count = 40) {
  return tableAnswer(
    dataset,
    Array.from({ length: count }, (_, index) => ({
      meter_code: `M${index}`,
      meter_type: '01',
      model: '02',
      inlet_side: '1',
      state: 'A',
      location: `厨房𠮷 ${index}`,
      subscriber_code: 'S1',
      management_mode: null,
      manufacturer_code: null,
      org_code: ORG,
    })),
  );
}

const whole = bodyOf(table());
const text = whole.toString('utf8');

function victim(seed = 1): Victim {
  return { dataset, orgCode: ORG, now: NOW, random: seededRandom(seed) };
}

/** What a fault does to the table, or to the call that asks for it. */
function play(fault: Fault, seed = 1): Act {
  const ready = readyFault(fault);
  const struck = ready.strike(victim(seed));
  return Object.keys(struck).length > 0 ? struck : ready.alter(victim(seed), table());
}

function body(act: Act): Buffer {
  return Buffer.concat([...(act.wire?.body ?? [])]);
}

/** What the service's own reader makes of a body. */
async function read(bytes: Buffer, charset: string | null = 'utf-8') {
  async function* pieces() {
    yield bytes;
  }
  const { batches } = await readTable(pieces(), tableOptions(dataset, ORG, charset));
  const rows = [];
  const rejects = [];
  for await (const batch of batches) {
    rows.push(...batch.rows.map(({ values }) => values));
    rejects.push(...batch.rejects);
  }
  return { rows, rejects };
}

describe('a catalogue of faults', () => {
  it('plays every kind, with its defaults and with parameters at random', () => {
    for (const kind of FAULT_NAMES) {
      expect(play({ kind } as Fault), kind).not.toEqual({});
      const { draw, parameters } = FAULT_KINDS[kind];
      if (draw) expect(parameters.safeParse(draw(seededRandom(5))).success, kind).toBe(true);
    }
  });

  it('names a kind or a parameter that is wrong', () => {
    expect(() => readyFault({ kind: 'flood' } as unknown as Fault)).toThrow(/no such kind/);
    expect(() => readyFault({ kind: 'reset-in-body', share: 2 })).toThrow(/reset-in-body.*share/s);
    expect(() => readyFault({ kind: 'bom', deep: 1 } as unknown as Fault)).toThrow(/bom.*deep/s);
  });

  it('spares calls that are refused anyway, and calls that are no tables', () => {
    const fault = readyFault({ kind: 'gbk' });
    expect(fault.alter(victim(), errorAnswer(refusal('NOT_GRANTED', 'no')))).toEqual({});
    expect(fault.alter({ ...victim(), dataset: null }, table())).toEqual({});
  });
});

describe('the body of a fault', () => {
  it('is cut a byte or more before its Content-Length is reached', () => {
    for (const kind of ['cut-with-length', 'reset-in-body', 'stalled-body'] as const) {
      for (const [share, length] of [
        [0, 0],
        [0.5, whole.length >> 1],
        [1, whole.length - 1],
      ] as const) {
        const act = play({ kind, share });
        expect(act.wire).toMatchObject({ framing: 'length', length: whole.length });
        expect(body(act).equals(whole.subarray(0, length))).toBe(true);
      }
    }
    expect(play({ kind: 'cut-with-length' }).wire?.ending).toBe('close');
    expect(play({ kind: 'reset-in-body' }).wire?.ending).toBe('reset');
    expect(play({ kind: 'stalled-body' }).wire?.ending).toBe('silence');
  });

  it('is whole but for the terminator, or has neither length nor chunks', () => {
    const chunked = play({ kind: 'cut-without-length', share: 1 });
    expect(chunked.wire).toMatchObject({ framing: 'chunked', ending: 'close' });
    expect(body(chunked).equals(whole)).toBe(true);
    const unframed = play({ kind: 'unframed-body', coding: 'gzip' });
    expect(unframed.wire).toMatchObject({ framing: 'unframed', ending: 'end' });
    expect(unframed.wire?.headers['content-encoding']).toBe('gzip');
    expect(gunzipSync(body(unframed)).equals(whole)).toBe(true);
    expect(body(play({ kind: 'unframed-cut-body' })).length).toBe(whole.length >> 1);
  });

  it('drips in pieces that make up the whole', () => {
    const act = play({ kind: 'dripping-body', pieces: 7, ms: 3 });
    expect([...(act.wire?.body ?? [])]).toHaveLength(7);
    expect(act.wire?.pause).toBe(3);
    expect(body(act).equals(whole)).toBe(true);
  });

  it('is a bomb of a thousandth of its size, cut behind that, or has no end at all', () => {
    const act = play({ kind: 'gzip-bomb', bytes: 64 * 2 ** 20 });
    const packed = body(act);
    expect(packed.length).toBeLessThan((64 * 2 ** 20) / 900);
    expect(() => gunzipSync(packed)).toThrow(/unexpected end/);
    let sent = 0;
    for (const piece of play({ kind: 'endless-body' }).wire?.body ?? []) {
      sent += piece.length;
      if (sent > 100 * 2 ** 20) break;
    }
    expect(sent).toBeGreaterThan(100 * 2 ** 20);
  });

  it('says how long to wait in either form, or does not', () => {
    const header = (retryAfter: 'none' | 'seconds' | 'date') =>
      play({ kind: 'too-many-requests', retryAfter, seconds: 90 }).wire?.headers['retry-after'];
    expect(header('none')).toBeUndefined();
    expect(header('seconds')).toBe('90');
    expect(header('date')).toBe(new Date(NOW + 90_000).toUTCString());
    expect(play({ kind: 'unavailable' }).wire?.status).toBe(503);
  });

  it('has its columns in another order, twice, not at all, or one more', () => {
    const header = (fault: Fault) => body(play(fault)).toString('utf8').split('\n')[0]?.split('|');
    expect(header({ kind: 'reordered-columns' })).toEqual([...NAMES].reverse());
    expect(header({ kind: 'duplicate-column', column: 1 })).toEqual([...NAMES, NAMES[1]]);
    expect(header({ kind: 'extra-column', column: 0 })).toEqual(['备注', ...NAMES]);
    expect(header({ kind: 'missing-required-column' })).toEqual(NAMES.slice(1));
    expect(header({ kind: 'missing-optional-column' })).not.toContain('位置');
    expect(header({ kind: 'wrong-table' })).not.toEqual(NAMES);
  });

  it('holds the very same rows wherever its kind delivers data', async () => {
    const { rows } = await read(whole);
    expect(rows).toHaveLength(40);
    const kinds = FAULT_NAMES.filter((kind) => FAULT_KINDS[kind].delivers === 'data');
    for (const kind of kinds) {
      const act = play({ kind } as Fault);
      if (act.wire) expect((await read(body(act))).rows, kind).toEqual(rows);
    }
  });

  it('is in GBK, with a byte order mark, or with CRLF', async () => {
    expect(new TextDecoder('gb18030').decode(body(play({ kind: 'gbk' })))).toBe(text);
    const type = (named: 'GBK' | 'none') =>
      play({ kind: 'gbk', named }).wire?.headers['content-type'];
    expect(type('GBK')).toBe('text/plain;charset=GBK');
    expect(type('none')).toBe('text/plain');
    expect(body(play({ kind: 'bom' }))).toEqual(Buffer.from(`\ufeff${text}`));
    expect(body(play({ kind: 'crlf' })).toString()).toBe(text.trimEnd().replaceAll('\n', '\r\n'));
  });
});

describe('encoding in GB18030', () => {
  const decoder = new TextDecoder('gb18030', { ignoreBOM: true });
  const isPrivate = (code: number) => code >= 0xe000 && code <= 0xf8ff;

  it('is what decoding undoes, for every character but a few for private use', () => {
    const wrong: string[] = [];
    for (let code = 0; code <= 0x10ffff; code += 1) {
      const character = String.fromCodePoint(code);
      let back: string | undefined;
      try {
        back = decoder.decode(encodeGb18030(character));
      } catch (error) {
        expect(error).toBeInstanceOf(RangeError);
      }
      const isHalf = code >= 0xd800 && code <= 0xdfff;
      const isRefused = back === undefined && (isHalf || isPrivate(code));
      if (back !== character && !isRefused) wrong.push(code.toString(16));
    }
    expect(wrong).toEqual([]);
  });

  it('is what decoding undoes, for any text of them', () => {
    const unit = fc
      .string({ unit: 'binary', minLength: 1, maxLength: 1 })
      .filter((character) => !isPrivate(character.codePointAt(0) as number));
    fc.assert(
      fc.property(fc.string({ unit }), (any) => {
        expect(decoder.decode(encodeGb18030(any))).toBe(any);
      }),
    );
  });
});

describe('bad lines', () => {
  const hashOf = (line: Buffer) => createHash('sha256').update(line).digest('hex');

  function linesOf(bytes: Buffer): Buffer[] {
    const lines: Buffer[] = [];
    for (let start = 0, end = 0; start < bytes.length; start = end + 1) {
      end = bytes.indexOf(0x0a, start);
      lines.push(bytes.subarray(start, end));
    }
    return lines;
  }

  it('are remembered exactly, stand between all right lines, and are what the reader refuses', async () => {
    const act = play({ kind: 'bad-lines', share: 0.3 });
    const lines = linesOf(body(act));
    const bad = act.badLines ?? [];
    expect(bad.length).toBe(18);
    for (const { hash, lineNo } of bad) expect(hashOf(lines[lineNo - 1] as Buffer)).toBe(hash);
    const others = lines.filter((_, index) => !bad.some(({ lineNo }) => lineNo === index + 1));
    expect(Buffer.concat(others.flatMap((line) => [line, Buffer.from('\n')])).equals(whole)).toBe(
      true,
    );
    const { rejects } = await read(body(act));
    const refused = bad.filter(({ reason }) => reason !== 'superseded');
    expect(rejects.map(({ reason, hash, lineNo }) => ({ hash, reason, lineNo }))).toEqual(refused);
  });

  it('are of every reason, or of those that are asked for', () => {
    const reasons = (fault: Fault) => [
      ...new Set(play(fault).badLines?.map(({ reason }) => reason)),
    ];
    expect(reasons({ kind: 'bad-lines', share: 0.5 }).sort()).toEqual([
      'encoding',
      'field_count',
      'no_key',
      'no_org',
      'nul',
      'other_org',
      'superseded',
      'too_long',
    ]);
    expect(reasons({ kind: 'bad-lines', share: 0.5, reasons: ['nul'] })).toEqual(['nul']);
    expect(reasons({ kind: 'invalid-utf8' })).toEqual(['encoding']);
  });

  it('are of 10 MB where that is asked for', () => {
    const act = play({ kind: 'long-lines', count: 1 });
    expect(body(act).length - whole.length).toBeGreaterThan(10_000_000);
    expect(act.badLines).toMatchObject([{ reason: 'too_long' }]);
  });

  it('are added to an empty table as well, where nothing can be superseded', () => {
    const act = readyFault({ kind: 'bad-lines', reasons: ['superseded', 'nul'] }).alter(
      victim(),
      table(0),
    );
    expect(act.badLines).toMatchObject([{ reason: 'nul', lineNo: 2 }]);
  });
});

/** A request for a feed. */
function request(over: Partial<RequestRecord> = {}): RequestRecord {
  return {
    at: NOW,
    interface: '3004',
    path: '/meter/download',
    orgCode: ORG,
    dataset: 'meters',
    from: null,
    to: null,
    seq: '1',
    token: null,
    result: 'pending',
    rows: 0,
    startedAt: 0,
    endedAt: null,
    ...over,
  };
}

const otherOrg = request({ orgCode: 'NJ0101' });

describe('a plan of faults', () => {
  const time = { now: NOW };
  const plan = () => createFaultPlan({ clock: () => time.now, goDeaf: () => async () => {} });

  /** Takes a request through a plan, to its answer if it comes so far. */
  function pass(on: FaultPlan, record = request()): string | undefined {
    const before = on.injected.length;
    const casualty = on.receive(record);
    if (!casualty.act.wire) casualty.alter(table());
    return on.injected[before]?.kind;
  }

  it('gives a fault to the next call that matches, once, in the order of the orders', () => {
    const on = plan();
    on.faults.once({ orgCode: ORG }, { kind: 'html-page' });
    on.faults.once({ orgCode: ORG }, { kind: 'gbk' });
    expect([otherOrg, request(), request(), request()].map((each) => pass(on, each))).toEqual([
      undefined,
      'html-page',
      'gbk',
      undefined,
    ]);
    expect(on.injected[0]).toEqual({
      at: NOW,
      kind: 'html-page',
      delivers: 'nothing',
      interface: '3004',
      orgCode: ORG,
      dataset: 'meters',
      seq: '1',
      badLines: [],
    });
  });

  it('keeps what is for a table until there is one', () => {
    const on = plan();
    on.faults.once({}, { kind: 'crlf' });
    on.receive(request()).alter(errorAnswer(refusal('TOKEN_EXPIRED', 'expired')));
    expect(on.injected).toEqual([]);
    expect(pass(on)).toBe('crlf');
  });

  it('gives a lasting fault to all that match, until it is switched off or its time is over', async () => {
    const on = plan();
    const off = on.faults.during({ dataset: 'meters' }, { kind: 'bom' });
    on.faults.during({ orgCode: 'NJ0101' }, { kind: 'gbk' }, NOW + 1000);
    expect([pass(on), pass(on, otherOrg), pass(on)]).toEqual(['bom', 'gbk', 'bom']);
    time.now = NOW + 1000;
    expect(pass(on, otherOrg)).toBe('bom');
    await off();
    expect(pass(on)).toBeUndefined();
    time.now = NOW;
  });

  it('lets conditions hold together, beside another fault', () => {
    const on = plan();
    on.faults.during({}, { kind: 'clock', offset: 5 });
    on.faults.during({}, { kind: 'token-rules', tokenLifetime: 9 });
    on.faults.during({}, { kind: 'clock', offset: 7 });
    on.faults.once({}, { kind: 'empty-body' });
    const { conditions, act } = on.receive(request());
    expect(conditions).toEqual({ clockOffset: 7, tokenLifetime: 9 });
    expect(act.wire).toBeDefined();
    expect(on.injected.map(({ kind }) => kind)).toEqual([
      'clock',
      'token-rules',
      'clock',
      'empty-body',
    ]);
  });

  it('is cleared of everything at once', async () => {
    const on = plan();
    on.faults.once({}, { kind: 'bom' });
    on.faults.during({}, { kind: 'clock' });
    on.faults.random({ seed: 1, rate: 1 });
    await on.faults.clear();
    expect(on.receive(request()).conditions).toEqual({});
    expect(pass(on)).toBeUndefined();
  });

  it('draws the same faults for the same seed, however feeds mix', () => {
    const drawn = (seed: number, order: readonly RequestRecord[]) => {
      const on = plan();
      on.faults.random({ seed, rate: 0.5 });
      const kinds = order.map((each) => [each.orgCode, pass(on, each)] as const);
      return [ORG, 'NJ0101'].map((org) => kinds.filter(([code]) => code === org));
    };
    const hundred = Array.from({ length: 100 }, () => [request(), otherOrg]);
    const apart = [...hundred.map(([one]) => one!), ...hundred.map(([, other]) => other!)];
    const mixed = drawn(3, hundred.flat());
    expect(drawn(3, apart)).toEqual(mixed);
    expect(drawn(4, apart)).not.toEqual(mixed);
  });

  it('meets the rate, and draws the kinds it is told by their weights', () => {
    const on = plan();
    on.faults.random({ seed: 1, rate: 0.25, kinds: { bom: 3, gbk: 1, crlf: 0 } });
    const kinds = Array.from({ length: 4000 }, () => pass(on)).filter((kind) => kind);
    const count = (kind: string) => kinds.filter((each) => each === kind).length;
    expect(kinds.length / 4000).toBeCloseTo(0.25, 1);
    expect(count('bom') / count('gbk')).toBeGreaterThan(2.3);
    expect(count('bom') / count('gbk')).toBeLessThan(3.9);
    expect(count('bom') + count('gbk')).toBe(kinds.length);
  });

  it('takes no rate, kind or weight that makes no sense', () => {
    const { faults } = plan();
    expect(() => faults.random({ seed: 1, rate: 2 })).toThrow(RangeError);
    expect(() => faults.random({ seed: 1, rate: 1, kinds: ['flood'] as never })).toThrow(/flood/);
    expect(() => faults.random({ seed: 1, rate: 1, kinds: [] })).toThrow(/nothing to draw/);
    expect(() => faults.random({ seed: 1, rate: 1, kinds: { bom: -1 } })).toThrow(RangeError);
  });
});
