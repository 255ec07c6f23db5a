import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { formatSeq, LAST_COUNTER, nextCounter } from '../../src/core/seq.ts';
import { createSeq } from '../../src/vcc/request.ts';

const AT = Date.UTC(2017, 3, 20, 1, 10, 30);

describe('seq (P2)', () => {
  it('writes the message number of the sign vectors', () => {
    expect(formatSeq('1002', AT, 1)).toBe('10022017042009103000000000000001');
  });

  it('has 32 digits at any time of four-digit years and for any counter', () => {
    const times = fc.integer({ min: 0, max: Date.UTC(9999, 0) });
    fc.assert(
      fc.property(times, fc.integer({ min: 1, max: LAST_COUNTER }), (at, counter) => {
        expect(formatSeq('3001', at, counter)).toMatch(/^3001\d{28}$/);
      }),
    );
  });

  it('counts up and wraps to 1, never to 0', () => {
    expect(nextCounter(1)).toBe(2);
    expect(nextCounter(LAST_COUNTER)).toBe(1);
  });

  it('never repeats within a process, and starts where randomness says', () => {
    fc.assert(
      fc.property(fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }), (random) => {
        const next = createSeq(
          { seqCode: null },
          () => AT,
          () => random,
        );
        const seqs = Array.from({ length: 50 }, () => next('1002'));
        expect(new Set(seqs).size).toBe(50);
        const start = Number(seqs[0]?.slice(18));
        expect(start).toBe(1 + Math.floor(random * LAST_COUNTER));
        for (const seq of seqs) expect(seq).toMatch(/^1002\d{28}$/);
      }),
    );
  });

  it('starts elsewhere in each process when nothing is handed in', () => {
    const starts = Array.from({ length: 20 }, () => createSeq({ seqCode: null }, () => AT)('1002'));
    expect(new Set(starts).size).toBe(20);
  });

  it('uses one code for all interfaces where the settings force it', () => {
    expect(createSeq({ seqCode: '1001' }, () => AT)('3004')).toMatch(/^100120170420091030\d{14}$/);
  });
});
