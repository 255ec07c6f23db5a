import type { FastifyInstance } from 'fastify';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { hourlyChanges } from '../../src/store/activity.ts';
import { buildApp } from '../../src/web/server.ts';
import { useBrowser, type Visit } from '../support/browser.ts';
import { eventually } from '../support/eventually.ts';
import { useHarness } from '../support/sync-harness.ts';
import { WEB_SETTINGS } from '../support/web-settings.ts';

const harness = useHarness();
const browser = useBrowser();
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

browser.describe('in a browser', () => {
  let visit: Visit;
  beforeEach(async () => {
    visit = await browser.visit(await app.listen({ host: '127.0.0.1', port: 0 }));
  });
  afterEach(() => visit.close());

  it('the overview keeps the focus where it was when it renews itself', async () => {
    const { current } = harness;
    const { page, complaints } = visit;
    await page.clock.install({ time: current.now });
    await page.clock.pauseAt(current.now + 1_000);
    await page.goto('/');
    const where = () =>
      page.evaluate(() => {
        const { localName, attributes } = document.activeElement!;
        return `${localName} ${attributes[0]?.value}`;
      });
    const stops: string[] = [];
    while (stops.at(-1) !== 'a /feeds/WJ0105/meters') {
      expect(stops.length).toBeLessThan(30);
      await page.keyboard.press('Tab');
      stops.push(await where());
    }
    // A row before the map, and another link to the same feed after it.
    await current.query(`insert into vcc.run (feed_id, org_code, dataset, trigger, window_from, window_to, worker, started_at)
      select id, org_code, dataset, 'schedule', '2026-10-01Z', '2026-10-02Z', 'w', now()
      from vcc.feed where dataset in ('meters', 'addresses')`);
    await current.query(`update vcc.feed set paused = true where dataset = 'meters'`);
    await page.clock.runFor(5_000);
    await page.getByText('Paused').first().waitFor();
    expect(await where()).toBe('a /feeds/WJ0105/meters');
    // Whoever goes on from there goes on from the same place.
    await page.keyboard.press('Shift+Tab');
    expect(await where()).toBe(stops.at(-2));
    expect(complaints).toEqual([]);
  });

  it('a form is sent once, though it is sent again before the answer has come', async () => {
    const { page } = visit;
    await page.goto('/resync');
    let sent = 0;
    let release = () => {};
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    await page.route('**/resync?*', async (route) => {
      sent += 1;
      await held;
      await route.fulfill({ body: 'done' }).catch(() => {});
    });
    await page.route('**/first-is-sent', async (route) => {
      await eventually(() => expect(sent).toBe(1));
      await route.fulfill();
    });
    const again = page.waitForRequest('**/second-is-sent');
    await page.evaluate(() => {
      const form = document.querySelector<HTMLFormElement>('main form')!;
      form.requestSubmit();
      void fetch('/first-is-sent').then(() => {
        // As the Enter key does, which knows no pointer events.
        form.requestSubmit();
        return fetch('/second-is-sent');
      });
    });
    await again;
    release();
    await page.getByText('done').waitFor();
    expect(sent).toBe(1);
  });
});
