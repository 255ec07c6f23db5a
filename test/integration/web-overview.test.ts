import type { FastifyInstance } from 'fastify';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { hourlyChanges } from '../../src/store/activity.ts';
import { buildApp } from '../../src/web/server.ts';
import { useHarness } from '../support/sync-harness.ts';
import { WEB_SETTINGS } from '../support/web-settings.ts';

const harness = useHarness();
let app: FastifyInstance;

beforeEach(async () => {
  const { current } = harness;
  await current.addOrgs(['WJ0105']);
  await current.runAll();
  await current.query('update vcc.run set finished_at = $1', [new Date(current.now)]);
  app = await buildApp({
    world: current.sync,
    db: current.store.db,
    backend: () => null,
    settings: WEB_SETTINGS,
  });
});
afterEach(() => app.close());

const ask = (url: string) =>
  app.inject({ url, headers: { host: 'localhost', accept: 'text/html' } });

it('the overview adds up what has changed', async () => {
  const { current } = harness;
  const [sums] = await current.query<{ changed: number }>(
    'select sum(inserted + updated)::bigint as changed from vcc.run',
  );
  const hours = await hourlyChanges(current.store.db, 0);
  expect(hours.reduce((sum, { inserted, updated }) => sum + inserted + updated, 0)).toBe(
    sums!.changed,
  );
  expect((await ask('/')).body).toContain(
    `<dd>${new Intl.NumberFormat('en').format(sums!.changed)}</dd>`,
  );
});

it('the chart is an image that a browser can read', async () => {
  const { body } = await ask('/charts/changes.svg?theme=dark');
  const tags = body.replace(/<!\[CDATA\[.*?\]\]>/gs, '').match(/<[^>]*>/g)!;
  expect(tags.length).toBeGreaterThan(20);
  const form = /^<\/?[\w:]+(\s+[\w:-]+="[^"<>]*")*\s*\/?>$/;
  expect(tags.filter((tag) => !form.test(tag))).toEqual([]);
});

it('only pages that show what goes on renew themselves', async () => {
  expect((await ask('/')).body).toContain('<body data-live');
  expect((await ask('/resync')).body).not.toContain('data-live');
});

it('the overview tells of what runs now how long it takes and how far it is, as a share if it can', async () => {
  const { current } = harness;
  const begin = (dataset: string, expected: number | null) =>
    current.query(
      `insert into vcc.run (feed_id, org_code, dataset, trigger, window_from, window_to, worker, started_at, lines, bytes, bytes_expected)
        select id, org_code, dataset, 'schedule', '2026-10-01Z', '2026-10-02Z', 'w', $1, 12345, 1048576, $2
        from vcc.feed where dataset = $3`,
      [new Date(current.now - 90_000), expected, dataset],
    );
  await begin('meters', 4 * 1048576);
  await begin('addresses', null);
  const { body } = await ask('/');
  expect(body).toContain('25 % of 4.0 MiB, 12,345 lines, 1.0 MiB');
  expect(body.match(/<progress/g)).toHaveLength(1);
  expect(body.match(/12,345 lines, 1\.0 MiB/g)).toHaveLength(2);
  expect(body).toContain('<td class="number">1m 30s</td>');
});
