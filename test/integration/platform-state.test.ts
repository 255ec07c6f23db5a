import type pg from 'pg';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { SECOND } from '../../src/core/china-time.ts';
import { FatalError } from '../../src/core/errors.ts';
import {
  openPlatformState,
  openRequestPacer,
  PROBE_EVERY,
} from '../../src/store/platform-state.ts';
import { openDatabase, openPool } from '../../src/store/pool.ts';
import type { PlatformState } from '../../src/sync/ports.ts';
import { useDatabase } from '../support/database.ts';

const NOW = Date.UTC(2026, 9, 20, 4);
const REFUSED = new FatalError('CREDENTIALS', 'getToken was refused, resultCode 91021');

const database = useDatabase();
let other: pg.Pool;
let state: PlatformState;
/** The same installation as another process sees it. */
let elsewhere: PlatformState;

beforeAll(() => {
  other = openPool(database.url, { max: 10, name: 'vcc-sync other process' });
});
afterAll(async () => {
  await other.end();
});
beforeEach(async () => {
  await database.pool.query('delete from vcc.platform_state');
  state = openPlatformState(openDatabase(database.pool), 'app');
  elsewhere = openPlatformState(openDatabase(other), 'app');
});

describe('the gate', () => {
  it('is open before anything was refused', async () => {
    expect(await state.gate(NOW)).toMatchObject({ state: 'open' });
    expect(await state.takeProbe(NOW)).toBe(false);
    expect(await state.unblock()).toBe(false);
  });

  it('closes for all processes when one was refused', async () => {
    expect(await state.block(REFUSED, NOW)).toBe(true);
    expect(await state.gate(NOW)).toMatchObject({ state: 'closed' });
    expect(await elsewhere.gate(NOW)).toMatchObject({ state: 'closed' });
  });

  it('tells of two that are refused one after the other which one closed it', async () => {
    expect(await state.block(REFUSED, NOW)).toBe(true);
    expect(await elsewhere.block(REFUSED, NOW + 1)).toBe(false);
  });

  it('tells of eight that are refused in the same millisecond that one closed it', async () => {
    const first = await Promise.all(
      Array.from({ length: 8 }, (_, index) => (index % 2 ? state : elsewhere).block(REFUSED, NOW)),
    );
    expect(first.filter((closed) => closed)).toHaveLength(1);
  });

  it('may be probed once the wait is over, and stays shut for an instant less', async () => {
    await state.block(REFUSED, NOW);
    expect(await state.gate(NOW + PROBE_EVERY - 1)).toMatchObject({ state: 'closed' });
    expect(await state.gate(NOW + PROBE_EVERY)).toMatchObject({ state: 'probe' });
  });

  it('gives the probe to one of many callers, and the next one only after another wait', async () => {
    await state.block(REFUSED, NOW);
    const at = NOW + PROBE_EVERY;
    const taken = await Promise.all(
      Array.from({ length: 8 }, (_, index) => (index % 2 ? state : elsewhere).takeProbe(at)),
    );
    expect(taken.filter((probe) => probe)).toHaveLength(1);
    expect(await elsewhere.gate(at)).toMatchObject({ state: 'closed' });
    expect(await state.takeProbe(at + PROBE_EVERY - 1)).toBe(false);
    expect(await state.takeProbe(at + PROBE_EVERY)).toBe(true);
  });

  it('keeps since when it is shut, however often it is refused again', async () => {
    await state.block(REFUSED, NOW);
    await state.block(REFUSED, NOW + PROBE_EVERY);
    const { rows } = await database.pool.query('select * from vcc.platform_state');
    expect(rows[0]).toMatchObject({
      blocked_since: new Date(NOW),
      probe_at: new Date(NOW + 2 * PROBE_EVERY),
      error_code: 'CREDENTIALS',
      error_message: expect.stringContaining('91021'),
    });
  });

  it('opens for all processes, and tells the one who opened it', async () => {
    await state.block(REFUSED, NOW);
    expect(await elsewhere.unblock()).toBe(true);
    expect(await state.unblock()).toBe(false);
    expect(await state.gate(NOW)).toMatchObject({ state: 'open' });
    const { rows } = await database.pool.query('select error_code from vcc.platform_state');
    expect(rows).toEqual([{ error_code: null }]);
  });

  it('is another one for another app', async () => {
    await state.block(REFUSED, NOW);
    expect(await openPlatformState(openDatabase(other), 'another').gate(NOW)).toMatchObject({
      state: 'open',
    });
  });
});

describe("the platform's clock", () => {
  it('is ours until it was seen', async () => {
    expect(await state.clockSkew()).toBe(0);
  });

  it('is known to all processes once one has seen it', async () => {
    await state.noteClockSkew(-600 * SECOND);
    expect(await elsewhere.clockSkew()).toBe(-600 * SECOND);
    await state.noteClockSkew(90 * SECOND);
    expect(await elsewhere.clockSkew()).toBe(90 * SECOND);
  });

  it('is written after all by the next answer where a write has failed', async () => {
    const pool = openPool(database.url, { max: 1, name: 'vcc-sync test' });
    const db = openDatabase(pool);
    const noting = openPlatformState(db, 'app');
    await database.pool.query('alter table vcc.platform_state rename to hidden');
    await expect(noting.noteClockSkew(600 * SECOND)).rejects.toMatchObject({
      code: 'DATABASE_BUSY',
    });
    await database.pool.query('alter table vcc.hidden rename to platform_state');
    await noting.noteClockSkew(600 * SECOND);
    expect(await elsewhere.clockSkew()).toBe(600 * SECOND);
    await pool.end();
  });

  it('is set right within a minute by a process that saw nothing of what another wrote', async () => {
    let now = 0;
    const steady = openPlatformState(openDatabase(database.pool), 'app', () => now);
    await steady.noteClockSkew(0);
    // As by a process whose own clock is an hour off for a while, and which then says no more.
    await elsewhere.noteClockSkew(3600 * SECOND);
    now += 59 * SECOND;
    await steady.noteClockSkew(SECOND);
    expect(await state.clockSkew()).toBe(3600 * SECOND);
    now += 2 * SECOND;
    await steady.noteClockSkew(SECOND);
    expect(await state.clockSkew()).toBe(SECOND);
  });

  it('is the one told last, however many answers come at once', async () => {
    const told = Array.from({ length: 20 }, (_, index) => state.noteClockSkew(index * 10 * SECOND));
    await Promise.all(told);
    expect(await elsewhere.clockSkew()).toBe(190 * SECOND);
  });

  it('is not written for less than two seconds, whichever process wrote it', async () => {
    await state.noteClockSkew(10 * SECOND);
    await elsewhere.noteClockSkew(11 * SECOND);
    expect(await state.clockSkew()).toBe(10 * SECOND);
    await elsewhere.noteClockSkew(12 * SECOND);
    expect(await state.clockSkew()).toBe(12 * SECOND);
  });

  it('leaves the gate as it is', async () => {
    await state.block(REFUSED, NOW);
    await state.noteClockSkew(5 * SECOND);
    expect(await state.gate(NOW)).toMatchObject({ state: 'closed' });
    await state.unblock();
    expect(await state.clockSkew()).toBe(5 * SECOND);
  });
});

describe('the pacer', () => {
  it('spaces requests of two processes out to one rate', async () => {
    const pacers = [database.pool, other].map((pool) =>
      openRequestPacer(openDatabase(pool), 'app', 0.1),
    );
    const waits = await Promise.all(
      Array.from({ length: 20 }, (_, index) => pacers[index % 2]!.reserve()),
    );
    waits.sort((a, b) => a - b);
    // The slots lie ten seconds apart; the moments of asking, whatever a busy machine takes.
    expect(waits[0]).toBe(0);
    waits.forEach((wait, index) => {
      expect(wait).toBeGreaterThan((index - 0.9) * 10_000);
      expect(wait).toBeLessThanOrEqual(index * 10_000);
    });
  });

  it('lets a request go at once after a pause, and saves no slots up', async () => {
    const pacer = openRequestPacer(openDatabase(other), 'app', 10);
    await database.pool.query(
      `insert into vcc.platform_state (app_id, next_request_at) values ('app', now() - interval '1 hour')`,
    );
    expect(await pacer.reserve()).toBe(0);
    expect(await pacer.reserve()).toBeGreaterThan(0);
  });
});
