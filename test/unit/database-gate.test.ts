import { describe, expect, it } from 'vitest';
import { MINUTE, SECOND } from '../../src/core/china-time.ts';
import { RetryableError } from '../../src/core/errors.ts';
import { openDatabaseGate, TRY_EVERY } from '../../src/sync/database-gate.ts';
import { collectLog } from '../support/sync-harness.ts';

const full = new RetryableError('DATABASE_FULL', 'Postgres: SQLSTATE or system code 53100');

function openGate() {
  const time = { now: 0 };
  const log = collectLog();
  return { time, log, gate: openDatabaseGate(() => time.now, log) };
}

describe('the gate before a database', () => {
  it('lets every feed through while the database works', () => {
    const { gate } = openGate();
    expect([gate.mayEnter(), gate.mayEnter()]).toEqual([true, true]);
    expect(gate.trouble()).toBeNull();
  });

  it('lets one feed try every ten seconds while it does not', () => {
    const { gate, time } = openGate();
    gate.close(full);
    expect(gate.trouble()).toBe(full);
    const entered: number[] = [];
    for (; time.now <= 30 * SECOND; time.now += SECOND) {
      for (let feed = 0; feed < 4; feed += 1) if (gate.mayEnter()) entered.push(time.now);
    }
    expect(entered).toEqual([TRY_EVERY, 2 * TRY_EVERY, 3 * TRY_EVERY]);
  });

  it('lets all through at once when one has gone through', () => {
    const { gate, time } = openGate();
    gate.close(full);
    time.now += TRY_EVERY;
    expect(gate.mayEnter()).toBe(true);
    gate.open();
    expect([gate.mayEnter(), gate.mayEnter()]).toEqual([true, true]);
    expect(gate.trouble()).toBeNull();
  });

  it('says once a minute what is wrong and what to do, and that it is over', () => {
    const { gate, time, log } = openGate();
    for (; time.now < 5 * MINUTE; time.now += 5 * SECOND) gate.close(full);
    gate.open();
    gate.open();
    expect(log.lines.map(({ message }) => message)).toEqual([
      ...Array.from({ length: 5 }, () => 'the database takes no work, all feeds wait'),
      'the database takes work again, the feeds go on',
    ]);
    expect(log.lines[0]!.facts).toMatchObject({
      code: 'DATABASE_FULL',
      error: expect.stringContaining('free or add disk space'),
    });
  });
});
