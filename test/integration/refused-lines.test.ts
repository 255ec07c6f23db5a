import { createHash } from 'node:crypto';
import { beforeEach, describe, expect, it } from 'vitest';
import { HOUR, MINUTE } from '../../src/core/china-time.ts';
import { CATALOGUE } from '../../src/datasets/catalogue.ts';
import { useHarness } from '../support/sync-harness.ts';

const ORG = 'WJ0105';
const HEADER = CATALOGUE.meters.columns.map(({ header }) => header).join('|');
const h = useHarness({ world: { subscribersPerOrg: 0, changesPerDay: 0 } });

const bad = (name: string, count: number) =>
  Array.from({ length: count }, (_, index) => `${name}${index}|too|few`);
const hashOf = (line: string) => createHash('sha256').update(line).digest('hex');

/** Serves these lines for meters, beside so many good ones that the run does not fail. */
function serve(lines: readonly string[]): void {
  const row: string[] = CATALOGUE.meters.columns.map(({ name }) =>
    name === 'org_code' ? ORG : '1',
  );
  const good = Array.from({ length: lines.length * 20 }, (_, index) =>
    row.with(0, `G${index}`).join('|'),
  );
  h.current.interfere = (_request, response, { record }) => {
    if (record.dataset !== 'meters') return false;
    const body = Buffer.from(`${[HEADER, ...lines, ...good].join('\n')}\n`);
    response.writeHead(200, { 'content-length': body.length }).end(body);
    return true;
  };
}

async function load(lines: readonly string[]): Promise<number> {
  serve(lines);
  h.current.now += HOUR;
  const outcomes = await h.current.run('meters', ORG);
  return outcomes.reduce((sum, { receipt }) => sum + receipt.rejected, 0);
}

interface Kept {
  readonly hash: string;
  readonly run_id: number;
  readonly line_no: number;
  readonly line: string | null;
  readonly open: boolean;
}

function kept(): Promise<Kept[]> {
  return h.current.query(
    `select line_hash as hash, run_id, line_no, line, resolved_at is null as open
      from vcc.reject order by id`,
  );
}

describe('of refused lines', () => {
  beforeEach(async () => {
    await h.current.addOrgs([ORG]);
    // The month that can be had, in two windows; from now on each run is one.
    await h.current.run('meters', ORG);
  });

  it('at most 1,000 new ones are kept of a run, all are counted, and the next run keeps the rest', async () => {
    const lines = bad('A', 1500);
    expect(await load(lines)).toBe(1500);
    expect(await kept()).toHaveLength(1000);
    expect(await load(lines)).toBe(1500);
    const all = await kept();
    expect(all.map(({ hash }) => hash).sort()).toEqual(lines.map(hashOf).sort());
    // Those of the first run were seen again by the second.
    expect(new Set(all.map(({ run_id }) => run_id)).size).toBe(1);
  });

  it('a thousand that come again and again do not hide a new one', async () => {
    const old = bad('A', 1000);
    await load(old);
    await load([...old, ...bad('B', 1)]);
    const all = await kept();
    expect(all).toHaveLength(1001);
    expect(all.at(-1)).toMatchObject({ hash: hashOf('B0|too|few'), line_no: 1002, open: true });
  });

  it('one that comes again after it was resolved is open again, whatever else comes', async () => {
    const old = bad('A', 1000);
    await load(old);
    await h.current.query(`update vcc.reject set resolved_at = now(), resolved_by_run = 1`);
    await load([...bad('B', 300), ...old]);
    const all = await kept();
    expect(all).toHaveLength(1300);
    expect(all.every(({ open }) => open)).toBe(true);
    const first = all.find(({ hash }) => hash === hashOf(old[0]!));
    expect(first).toMatchObject({ line_no: 302 });
  });

  it('one that an older window brings again is no older for that', async () => {
    await load(bad('A', 1));
    const windows = () =>
      h.current.query<{ at: Date }>('select window_to as at from vcc.reject order by id');
    const [before] = await windows();
    const to = h.current.now - 2 * HOUR;
    await h.current.query(
      `insert into vcc.request (feed_id, kind, during, requested_by)
        select id, 'resync', tstzrange($1, $2), 'test' from vcc.feed where dataset = 'meters'`,
      [new Date(Math.floor((to - HOUR) / 1000) * 1000), new Date(Math.floor(to / 1000) * 1000)],
    );
    await h.current.run('meters', ORG);
    expect(await windows()).toEqual([before]);
    const [run] = await h.current.query<{ rejected: number }>(
      'select rejected from vcc.run where request_id is not null',
    );
    expect(run).toEqual({ rejected: 1 });
  });

  it('the text of one that was purged is kept again', async () => {
    const lines = bad('A', 1200);
    await load(lines);
    await h.current.query('update vcc.reject set line = null');
    h.current.now += MINUTE;
    await load(lines);
    const all = await kept();
    expect(all.filter(({ line }) => line !== null)).toHaveLength(1000);
  });
});
