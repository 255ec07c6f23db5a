import type { Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import { DAY } from '../../src/core/china-time.ts';
import { formatUser } from '../../src/core/user.ts';
import { useBrowser, type Visit, type VisitOptions } from '../support/browser.ts';
import { eventually } from '../support/eventually.ts';
import { useRedis } from '../support/redis.ts';
import type { ServiceProcess } from '../support/service-process.ts';
import { PER_SUITE, useService } from '../support/service-suite.ts';
import { testUser } from '../support/users.ts';

const browser = useBrowser();
const redis = useRedis();
const PASSWORD = 'correct horse battery staple';

function suite(queue: Record<string, string>, name: string) {
  const service = useService(queue, 'then', undefined, PER_SUITE);
  let one: ServiceProcess;
  let visits: Visit[] = [];

  beforeAll(async () => {
    service.current.simulator.refuse('WJ0105', 'meters');
    const users = [
      testUser('olga', 'operator', PASSWORD),
      testUser('vera', 'viewer', PASSWORD),
    ].map(formatUser);
    // What runs after the first round runs because somebody wants it.
    one = await service.start({
      WEB_USERS: users.join(','),
      SYNC_EVERY: '1h',
      SYNC_RETRY_BASE: '1h',
    });
    await eventually(async () => {
      const runs = await service.current.query(
        `select distinct org_code, dataset from vcc.run where status <> 'running'`,
      );
      expect(runs.length).toBe(8);
    });
  });

  afterEach(async () => {
    await Promise.all(visits.map((visit) => visit.close()));
    visits = [];
  });

  afterAll(async () => {
    // What the dashboard has opened does not keep the process.
    expect((await one.stop()).code).toBe(0);
  });

  /** Opens the dashboard, which asks for the log-in first. */
  async function open(who: string, path: string, options?: VisitOptions): Promise<Visit> {
    const visit = await browser.visit(one.url(), options);
    visits.push(visit);
    await visit.page.goto(path);
    await visit.page.locator('input[name=name]').fill(who);
    await visit.page.locator('input[name=password]').fill(PASSWORD);
    await visit.page.locator('button.primary').click();
    await visit.page.getByRole('link', { name: 'plan', exact: true }).first().waitFor();
    return visit;
  }

  /** Adds a job by the dialog. */
  async function addJob(page: Page, data: object): Promise<void> {
    const editor = page.locator('#add-job-form [role=textbox]').first();
    await eventually(async () => {
      // A schema that it could not have at once the page does not ask for again.
      if (await editor.isVisible()) await page.reload();
      await page.locator('main button[aria-haspopup=menu]').first().click();
      await page.getByRole('menuitem', { name: 'Add job' }).click();
      await editor.filter({ hasText: 'orgCode' }).waitFor({ timeout: 15_000 });
    });
    await editor.click();
    await page.keyboard.press('ControlOrMeta+A');
    await page.keyboard.insertText(JSON.stringify(data));
    await page.getByRole('button', { name: 'Add', exact: true }).click();
    await page.locator('#add-job-form').waitFor({ state: 'detached' });
  }

  const requests = () =>
    service.current.query(
      `select dataset, org_code, reason, requested_by, finished_at is not null as done
         from vcc.request join vcc.feed on feed.id = feed_id`,
    );

  it('adds a job that becomes a request, and says in words why another does not', async () => {
    const { page, complaints } = await open('olga', '/queues/queue/sync');
    const day = (ago: number) => new Date(Date.now() - ago * DAY).toISOString();
    const data = { dataset: 'addresses', orgCode: 'WJ0105', from: day(3), to: day(2) };
    await addJob(page, { ...data, from: day(90), reason: 'too old' });
    await page.getByText(/serves nothing from before/).waitFor();
    expect(await requests()).toEqual([]);
    expect(complaints).toEqual([expect.stringContaining('422')]);
    await addJob(page, { ...data, reason: 'by hand' });
    await eventually(async () => {
      expect(await requests()).toEqual([
        {
          dataset: 'addresses',
          org_code: 'WJ0105',
          reason: 'by hand',
          requested_by: 'web:olga',
          done: true,
        },
      ]);
    });
    expect(complaints.length).toBe(1);
  });

  it('refuses to empty the queue, in words', async () => {
    const { page } = await open('olga', '/queues/queue/sync');
    await page.locator('main button[aria-haspopup=menu]').first().click();
    await page.getByRole('menuitem', { name: 'Empty' }).click();
    await page.getByRole('button', { name: 'Confirm' }).click();
    await page.getByText('This is not done here.').waitFor();
  });

  it('shows a viewer the queues without anything to press', async () => {
    const { page, complaints } = await open('vera', '/queues/queue/sync?status=failed');
    await page.getByRole('tab', { name: 'Error' }).first().waitFor();
    await expect(clickAction(page, 'Retry')).rejects.toThrow('there is no Retry');
    // The menu that operators have, as other tests show.
    expect(await page.locator('main button[aria-haspopup=menu]').count()).toBe(0);
    expect(complaints).toEqual([]);
  });

  it('is in Chinese for those who want it, and leads back to the overview, on a phone too', async () => {
    for (const options of [{ dark: true }, { width: 390 }]) {
      const visit = await open('olga', '/queues', { ...options, locale: 'zh-CN' });
      const { page, complaints } = visit;
      await page.getByText('已完成').first().waitFor();
      await browser.keepShot(page, `queue-board-chinese-${name}-${options.width ?? 1280}`);
      await page.locator('header ul button[aria-haspopup=menu]').last().click();
      await page.getByRole('menuitem', { name: '返回总览' }).click();
      await page.waitForURL(`${one.url()}/`);
      expect(await page.getAttribute('html', 'lang')).toBe('zh-CN');
      expect(complaints).toEqual([]);
    }
  });

  // Last: the others look at what has failed.
  it('retries a failed job, though its feed is not due', async () => {
    const { current: h } = service;
    const { page, complaints } = await open('olga', '/queues/queue/sync?status=failed');
    await page.getByRole('tab', { name: 'Error' }).first().waitFor();
    await browser.keepShots(page, `queue-board-failed-${name}`);
    await page.locator('a[href*="/queues/queue/sync/"]').first().click();
    await page.waitForURL('**/queues/queue/sync/*');
    await page.getByRole('tab', { name: 'Error' }).first().waitFor();
    await browser.keepShots(page, `queue-board-job-${name}`);
    await page.goBack();
    await page.getByRole('tab', { name: 'Error' }).first().waitFor();
    h.simulator.allow('WJ0105', 'meters');
    await clickAction(page, 'Retry');
    await page.getByRole('button', { name: 'Confirm' }).click();
    await eventually(async () => {
      const [run] = await h.query<{ status: string }>(
        `select status from vcc.run where dataset = 'meters' and org_code = 'WJ0105'
          order by id desc limit 1`,
      );
      expect(run!.status).toBe('done');
    });
    expect(complaints).toEqual([]);
  });
}

/** Presses a button of the first job that only its tooltip names. */
async function clickAction(page: Page, name: string): Promise<void> {
  const buttons = page.locator('ul[class*=jobActions] button');
  for (let index = 0; index < (await buttons.count()); index += 1) {
    const button = buttons.nth(index);
    await button.hover();
    const tooltip = page.getByText(name, { exact: true });
    const isNamed = await tooltip.waitFor({ timeout: 5_000 }).then(
      () => true,
      () => false,
    );
    if (isNamed) return button.click();
  }
  throw new Error(`there is no ${name}`);
}

browser.describe('the queue dashboard in a browser, queue on Postgres', () =>
  suite({}, 'postgres'),
);
browser.describe('the queue dashboard in a browser', () =>
  redis.describe('queue on Redis', () => suite({ REDIS_URL: redis.url }, 'redis')),
);
