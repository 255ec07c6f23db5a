import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import type { Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import { DAY, formatChinaIso, HOUR } from '../../src/core/china-time.ts';
import { formatUser } from '../../src/core/user.ts';
import { openRequestStore } from '../../src/store/requests.ts';
import { importTable } from '../../src/sync/import.ts';
import { useBrowser, type Visit, type VisitOptions } from '../support/browser.ts';
import { eventually } from '../support/eventually.ts';
import type { ServiceProcess } from '../support/service-process.ts';
import { PER_SUITE, useService } from '../support/service-suite.ts';
import { meterLine, meterTable, tableBytes } from '../support/table-bytes.ts';
import { testUser } from '../support/users.ts';

const browser = useBrowser();
const PASSWORD = 'correct horse battery staple';
const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const NAME = '欧阳锋七';

/** Every page: its name here, its address and its title in both languages. */
const PAGES = [
  ['overview', '/', 'Overview', '总览'],
  ['feed', '/feeds/WJ0105/meters', 'WJ0105 Meters', 'WJ0105 表具'],
  ['resync', '/resync', 'Re-sync', '重新同步'],
  ['recorded', '/resync/recorded?ids=1', 'Recorded requests', '已登记的请求'],
  ['rejects', '/rejects', 'Rejects', '拒收行'],
  ['reject', '/rejects/1', 'Rejects: 1', '拒收行: 1'],
  ['replayed', '/rejects/replayed?inserted=1&left.gone=2', 'Replayed', '重放结果'],
] as const;

browser.describe('the pages in a browser', () => {
  const service = useService({}, 'then', undefined, PER_SUITE);
  let one: ServiceProcess;
  let visits: Visit[] = [];

  beforeAll(async () => {
    const users = [
      testUser('olga', 'operator', PASSWORD),
      testUser('vera', 'viewer', PASSWORD),
    ].map(formatUser);
    // What runs after the first round runs because somebody wants it.
    one = await service.start({ WEB_USERS: users.join(','), SYNC_EVERY: '1h' });
    await eventually(async () => {
      const runs = await service.current.query(
        `select distinct org_code, dataset from vcc.run where status = 'done'`,
      );
      expect(runs.length).toBe(8);
    });
    await refuse(`${meterLine('SLIPPED', { location: NAME })}|x`);
  });

  afterEach(async () => {
    await Promise.all(visits.map((visit) => visit.close()));
    visits = [];
  });

  afterAll(async () => {
    expect((await one.stop()).code).toBe(0);
  });

  /** Has a line of the newest hour refused. */
  async function refuse(line: string): Promise<void> {
    const { sync, store } = service.current;
    const now = Math.floor(Date.now() / 1000) * 1000;
    await importTable(
      { ...sync, clock: Date.now, feedsOf: openRequestStore(store.db).feedsOf },
      {
        orgCode: 'WJ0105',
        dataset: 'meters',
        span: { kind: 'interval', during: { from: now - 2 * HOUR, to: now - HOUR } },
        maxRejects: 100,
        reason: 'test',
        requestedBy: 'test',
      },
      { open: async () => tableBytes(meterTable([line])) },
      new AbortController().signal,
    );
  }

  /** Goes to a page, which asks for the log-in first. */
  async function open(who: string, path: string, options?: VisitOptions): Promise<Visit> {
    const visit = await browser.visit(one.url(), options);
    visits.push(visit);
    const { page } = visit;
    await page.goto(path);
    await page.locator('input[name=name]').fill(who);
    await page.locator('input[name=password]').fill(PASSWORD);
    await page.locator('button.primary').click();
    await page.waitForURL(`${one.url()}${path}`);
    return visit;
  }

  it('lets a viewer look at everything and change nothing', async () => {
    const { page, complaints } = await open('vera', '/');
    const { current: h } = service;
    for (const [, path] of PAGES) {
      await page.goto(path);
      const writes = page.locator('main form[method=post]');
      expect(await writes.count(), path).toBe(0);
    }
    expect(complaints).toEqual([]);
    const statuses = await page.evaluate(async () => {
      const paths = ['/resync', '/resync/preview', '/rejects/replay', '/rejects/1/replay'];
      const body = new URLSearchParams({ why: 'because' });
      const answers = paths.map((path) => fetch(path, { method: 'POST', body }));
      return (await Promise.all(answers)).map(({ status }) => status);
    });
    expect(statuses).toEqual([403, 403, 403, 403]);
    expect(await h.query(`select id from vcc.request where kind in ('resync', 'replay')`)).toEqual(
      [],
    );
  });

  it.each([
    ['en-US', 1280, false],
    ['zh-CN', 1280, true],
    ['en-US', 390, true],
    ['zh-CN', 390, false],
  ] as const)(
    'is whole and accessible in %s at %i pixels, dark: %s',
    async (locale, width, dark) => {
      const { page, context, complaints } = await open('olga', '/', { locale, width, dark });
      const isChinese = locale === 'zh-CN';
      const keepShot = (one: Page, name: string) =>
        browser.keepShot(one, `web-${name}-${locale}-${width}${dark ? '-dark' : ''}`);
      for (const [name, path, english, chinese] of PAGES) {
        await page.goto(path);
        expect(await page.title()).toBe(`${isChinese ? chinese : english} · vcc-sync`);
        expect(await page.getAttribute('html', 'lang')).toBe(isChinese ? 'zh-CN' : 'en');
        await keepShot(page, name);
        const overflow = await page.evaluate(
          () => document.documentElement.scrollWidth - document.documentElement.clientWidth,
        );
        expect(overflow, `${path} is wider than the window`).toBeLessThanOrEqual(0);
        expect(await violations(page), path).toEqual([]);
      }
      expect(complaints).toEqual([]);
      await page.goto('/nowhere');
      await keepShot(page, 'error');
      await context.clearCookies();
      await page.goto('/login');
      await keepShot(page, 'login');
      expect(await violations(page)).toEqual([]);
    },
  );

  it('lets an operator see the map, then preview and run a re-sync by which rows change', async () => {
    const { current: h } = service;
    const { page, complaints } = await open('olga', '/');
    await page.getByRole('table').getByText('WJ0105').first().waitFor();
    await h.query(`update vcc.meter set location = 'elsewhere' where org_code = 'WJ0105'`);
    const altered = async () => {
      const [row] = await h.query<{ count: number }>(
        `select count(*)::int as count from vcc.meter where location = 'elsewhere'`,
      );
      return row!.count;
    };
    const before = await altered();
    expect(before).toBeGreaterThan(0);
    await page.getByRole('link', { name: 'Re-sync', exact: true }).click();
    await page.getByRole('checkbox', { name: 'WJ0105' }).check();
    await page.getByRole('checkbox', { name: 'Meters' }).check();
    const from = formatChinaIso(Date.now() - 20 * DAY).slice(0, 19);
    await page.getByLabel('From (China time)').fill(from);
    await page.getByRole('button', { name: 'Show the plan' }).click();
    await page.getByText('1 feed, ').waitFor();
    await page.getByRole('textbox', { name: 'Reason' }).fill('mended at the source');
    await page.getByRole('checkbox', { name: /^Force/ }).check();
    await page.getByRole('button', { name: 'Preview', exact: true }).click();
    await page.getByText('Nothing was recorded or changed').waitFor();
    await browser.keepShots(page, 'web-resync-preview');
    expect(await altered()).toBe(before);
    await page.getByRole('button', { name: 'Record the request' }).click();
    await page.getByRole('heading', { name: 'Recorded requests' }).waitFor();
    // The page renews itself until it is so.
    await page.getByText(/^finished/).waitFor();
    expect(await altered()).toBeLessThan(before);
    const [request] = await h.query(
      `select reason, requested_by from vcc.request where kind = 'resync'`,
    );
    expect(request).toEqual({ reason: 'mended at the source', requested_by: 'web:olga' });
    expect(complaints).toEqual([]);
  });

  it('lets an operator accept a gap that the platform no longer serves, with a reason', async () => {
    const { current: h } = service;
    await h.query(`update vcc.feed set since = date_trunc('day', now()) - interval '60 days'
      where org_code = 'WJ0105' and dataset = 'meters'`);
    const { page, complaints } = await open('olga', '/');
    await page.locator('a[href="/feeds/WJ0105/meters"]').first().click();
    await page.getByLabel('Why this gap is accepted').fill('nothing was lost, says the branch');
    await browser.keepShots(page, 'web-feed-gap');
    await page.getByRole('button', { name: 'Accept this gap' }).click();
    await page.getByText('nothing was lost, says the branch').waitFor();
    const accepted = await h.query('select reason, accepted_by from vcc.gap_acceptance');
    expect(accepted).toEqual([
      { reason: 'nothing was lost, says the branch', accepted_by: 'web:olga' },
    ]);
    expect(complaints).toEqual([]);
  });

  it('lets an operator replay a line, repaired, and shows nothing of it', async () => {
    const { current: h } = service;
    const { page, complaints } = await open('olga', '/rejects');
    await page.getByRole('link', { name: '1', exact: true }).last().click();
    await page.getByRole('heading', { name: 'Rejects: 1' }).waitFor();
    expect(await page.content()).not.toContain(NAME);
    const field = page.getByRole('textbox', { name: /^Repaired line/ });
    await field.fill(meterLine('SLIPPED', { location: NAME }));
    await page.getByRole('textbox', { name: /^Why/ }).fill('a field too many');
    await page.getByRole('button', { name: 'Replay', exact: true }).click();
    await page.getByText('inserted: 1').waitFor();
    expect(decodeURIComponent(page.url())).not.toContain(NAME);
    expect(await page.content()).not.toContain(NAME);
    const [meter] = await h.query(
      `select location from vcc.meter where meter_code = 'SLIPPED' and org_code = 'WJ0105'`,
    );
    expect(meter).toEqual({ location: NAME });
    await page.getByRole('link', { name: 'All rejects' }).click();
    await page.getByText('No refused lines to show').waitFor();
    expect(complaints).toEqual([]);
    expect(one.stderr()).not.toContain(NAME);
  });
});

/** What axe finds that keeps people out: rule, and where. */
async function violations(page: Page): Promise<unknown> {
  // Not as a script of the page: its policy lets none in but its own.
  await page.evaluate(AXE);
  return page.evaluate(async () => {
    const { axe } = window as unknown as {
      axe: {
        run(): Promise<{
          violations: readonly {
            id: string;
            impact: string;
            nodes: readonly { target: unknown; failureSummary: string }[];
          }[];
        }>;
      };
    };
    const found = (await axe.run()).violations;
    return found
      .filter(({ impact }) => impact === 'serious' || impact === 'critical')
      .map(({ id, nodes }) => [id, nodes.map((one) => [one.target, one.failureSummary])]);
  });
}
