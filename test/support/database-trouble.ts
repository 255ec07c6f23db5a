import { request } from 'undici';
import { expect, it } from 'vitest';
import { MINUTE, SECOND } from '../../src/core/china-time.ts';
import { DATASETS } from '../../src/datasets/catalogue.ts';
import { eventually } from './eventually.ts';
import { CAN_FILL_DISK, type OwnPostgres, startOwnPostgres } from './own-postgres.ts';
import { type ServiceHarness, useService } from './service-suite.ts';

/** Most kinds of trouble that a service may tell of while its database refuses work. */
const FEW_KINDS = 40;

/** How long the trouble lasts at least, in milliseconds: thirty ticks of the planner. */
const LASTS = 15 * SECOND;

/**
 * How soon the first run must be done once the trouble is over, in milliseconds: feeds are tried every
 * half minute at least, and a slow machine needs some time for a run. What it takes until all are done
 * and compared is the machine's alone.
 */
const GOES_ON_WITHIN = 60 * SECOND;

/** What may befall a database that still answers. */
export interface Trouble {
  readonly name: string;
  /** Brings it about and answers how to end it. */
  readonly begin: (server: OwnPostgres) => Promise<() => Promise<void>>;
  /** What readiness says of it. */
  readonly reason: RegExp;
}

const ALL: readonly Trouble[] = [
  {
    name: 'is read-only',
    begin: async (server) => {
      await server.readOnly(true);
      return () => server.readOnly(false);
    },
    reason: /takes no writes.*read-only/,
  },
  {
    name: 'is out of connections',
    begin: (server) => server.takeConnections(),
    reason: /no connection left.*53300/,
  },
  {
    name: 'is full to the last row of the ledger',
    begin: (server) => server.fillDisk(['vcc.run', ...DATASETS.map(({ table }) => `vcc.${table}`)]),
    reason: /no disk space left/,
  },
  {
    name: 'is full but for the ledger',
    begin: (server) => server.fillDisk(DATASETS.map(({ table }) => `vcc.${table}`)),
    reason: /no disk space left/,
  },
];

/** What can be brought about here, by what its name says of the database. */
export function troublesNamed(form: RegExp): readonly Trouble[] {
  return ALL.filter(({ name }) => form.test(name) && (CAN_FILL_DISK || !name.includes('full')));
}

/** A service on a server of its own. */
export function useOwnServer(
  queue: Record<string, string>,
): ServiceHarness & { server(): OwnPostgres } {
  let server: OwnPostgres;
  const service = useService(queue, 'then', async () => {
    server = await startOwnPostgres();
    return { database: server };
  });
  return Object.assign(service, { server: () => server });
}

/** What `/readyz` says. */
export async function readiness(url: string): Promise<{ status: number; reasons: string }> {
  const { statusCode, body } = await request(`${url}/readyz`);
  const { missing } = (await body.json()) as { missing: { reason: string }[] };
  return { status: statusCode, reasons: missing.map(({ reason }) => reason).join('; ') };
}

/** What a service does while its database is in trouble, and after. */
export function troubleSuite(queue: Record<string, string>, troubles: readonly Trouble[]): void {
  const service = useOwnServer(queue);

  it.each(troubles)(
    '$name: waits, says so, and goes on by itself',
    async ({ begin, reason }) => {
      const { current: h } = service;
      const server = service.server();
      const one = await service.start({ DATABASE_URL: server.ownerUrl });
      await service.expectEqualAfter(Date.now());
      expect((await readiness(one.url())).status).toBe(200);

      const before = one.lines.length;
      const since = Date.now();
      const end = await begin(server);
      const began = Date.now();
      // So many that tables must grow, though half of each page is kept free.
      h.world.change(4_000, began);
      await eventually(
        async () => {
          const asked = performance.now();
          const { status, reasons } = await readiness(one.url());
          expect(performance.now() - asked).toBeLessThan(6 * SECOND);
          expect(reasons).toMatch(reason);
          expect(status).toBe(503);
          expect(Date.now() - began).toBeGreaterThan(LASTS);
        },
        { within: 120_000 },
      );
      const lines = one.lines.slice(before).filter(({ level }) => level !== 'info');
      expect(lines.length).toBeGreaterThan(0);
      // A slow machine may need minutes for all this. Every trouble is told once a minute, and a feed may
      // fail twice before it is known to be the database's: that is far from once for each of the ticks.
      const minutes = Math.ceil((Date.now() - since) / MINUTE);
      const told = new Map<string, number>();
      for (const { msg, code, queue, what, dataset, org } of lines) {
        const kind = JSON.stringify([msg, code, queue, what, dataset, org]);
        told.set(kind, (told.get(kind) ?? 0) + 1);
      }
      const often = [...told].filter(([, times]) => times > 2 * minutes);
      expect(often).toEqual([]);
      expect(told.size, [...told.keys()].join('\n')).toBeLessThan(FEW_KINDS);

      const failures = `select max(consecutive_failures)::int as most from vcc.feed`;
      // Those that try to get in take places for a moment, the superuser's too.
      const [worst] = await eventually(() => h.query<{ most: number }>(failures));
      expect(worst!.most).toBeLessThanOrEqual(2);

      await end();
      const over = Date.now();
      await service.expectEqualAfter(over);
      const [next] = await h.query<{ after: number }>(
        `select 1000 * extract(epoch from min(finished_at) - to_timestamp($1))::float as after from vcc.run
          where status = 'done' and finished_at > to_timestamp($1)`,
        [over / 1000],
      );
      expect(next!.after).toBeLessThan(GOES_ON_WITHIN);
      await eventually(async () => expect((await readiness(one.url())).status).toBe(200));
      expect(await h.query(failures)).toEqual([{ most: 0 }]);
      const left = await h.query(
        `select id from vcc.run where status = 'running' and started_at < to_timestamp($1)`,
        [(over - 5 * SECOND) / 1000],
      );
      expect(left).toEqual([]);
      expect((await one.stop()).code).toBe(0);
    },
    400_000,
  );
}
