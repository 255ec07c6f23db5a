import type { FastifyInstance } from 'fastify';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { DAY, formatChinaIso, HOUR } from '../../src/core/china-time.ts';
import type { User } from '../../src/core/user.ts';
import { reach, recoverableUntil } from '../../src/core/window.ts';
import { CATALOGUE } from '../../src/datasets/catalogue.ts';
import { buildApp } from '../../src/web/server.ts';
import { useBrowser } from '../support/browser.ts';
import { type Harness, useHarness } from '../support/sync-harness.ts';
import { testUser } from '../support/users.ts';
import { WEB_SETTINGS } from '../support/web-settings.ts';

const ORG = 'WJ0105';
const HOST = 'localhost';
const PAGE = { accept: 'text/html', host: HOST };
const OWN = {
  ...PAGE,
  'content-type': 'application/x-www-form-urlencoded',
  origin: `http://${HOST}`,
};
const ADDRESS = `/feeds/${ORG}/meters`;

const harness = useHarness({ now: Math.floor(Date.now() / 1000) * 1000 });
const browser = useBrowser();
let h: Harness;
let app: FastifyInstance;
let since: number;

async function openApp(users: User[] = []): Promise<FastifyInstance> {
  return buildApp({
    world: h.sync,
    db: h.store.db,
    backend: () => null,
    settings: { ...WEB_SETTINGS, WEB_USERS: users },
  });
}

/** Serves meters of which three lines are refused: they name people. */
function serveRefused(): void {
  const { columns } = CATALOGUE.meters;
  const good = (key: string) =>
    columns.map(({ name }) => (name === 'org_code' ? ORG : name === 'meter_code' ? key : '1'));
  const lines = [
    columns.map(({ header }) => header).join('|'),
    '20001|张三丰|13800138000',
    '20002|李四光|13900139000',
    good('').join('|'),
    ...Array.from({ length: 60 }, (_, index) => good(`G${index}`).join('|')),
  ];
  h.interfere = (_request, response, { record }) => {
    if (record.dataset !== 'meters') return false;
    const body = Buffer.from(`${lines.join('\n')}\n`);
    response.writeHead(200, { 'content-length': body.length }).end(body);
    return true;
  };
}

const loseADay = () =>
  h.query(
    `update vcc.feed set coverage = coverage - tstzmultirange(tstzrange($1, $2))
      where dataset = 'meters'`,
    [new Date(h.now - 3 * DAY), new Date(h.now - 2 * DAY)],
  );

const recordRequest = () =>
  h.query(
    `insert into vcc.request (feed_id, kind, during, force, reason, requested_by)
      select id, 'resync', tstzrange($1, $2), true, 'a <b> reason', 'web:olga' from vcc.feed
      where dataset = 'meters'`,
    [new Date(h.now - DAY), new Date(h.now - HOUR)],
  );

/** Has every ledger show something: refused lines, a failed run, an open request and an open gap. */
async function fillLedgers(): Promise<void> {
  serveRefused();
  h.now += HOUR;
  await h.run('meters', ORG);
  h.interfere = (_request, response) => {
    response.writeHead(503).end();
    return true;
  };
  h.now += HOUR;
  await h.run('meters', ORG).catch(() => {});
  await loseADay();
  await recordRequest();
}

/** Leaves two gaps: one before what the platform serves, and one of a day that it still serves. */
beforeEach(async () => {
  h = harness.current;
  since = reach(h.now) - 5 * DAY;
  await h.addOrgs([ORG], since);
  await h.run('meters', ORG);
  await loseADay();
  app = await openApp();
});
afterEach(() => app.close());

const look = async (query = '', headers: Record<string, string> = {}) =>
  (await app.inject({ url: `${ADDRESS}${query}`, headers: { ...PAGE, ...headers } })).body;

function act(fields: Record<string, string>, headers: Record<string, string> = OWN) {
  const payload = new URLSearchParams(fields).toString();
  return app.inject({ method: 'POST', url: ADDRESS, headers, payload });
}

const shown = (at: number) => formatChinaIso(at).slice(0, 19).replace('T', ' ');

async function feed() {
  const [row] = await h.query<{ paused: boolean; next_due_at: unknown }>(
    `select paused, next_due_at::text from vcc.feed where dataset = 'meters'`,
  );
  return row!;
}

const acceptances = () =>
  h.query<object>(
    `select reason, accepted_by, lower(during) as "from", upper(during) as "to"
      from vcc.gap_acceptance order by 3`,
  );

/** The cells of a table's rows, by the label of the section that it stands in. */
function rowsOf(body: string, label: string): string[][] {
  const [, table] = new RegExp(`aria-label="${label}".*?<tbody>(.*?)</tbody>`, 's').exec(body)!;
  return table!
    .split('<tr>')
    .slice(1)
    .map((row) =>
      [...row.matchAll(/<t[dh][^>]*>(.*?)<\/t[dh]>/gs)].map(([, cell]) =>
        cell!.replace(/<[^>]*>/g, '').trim(),
      ),
    );
}

it('shows how the feed stands, and its time line as a picture and as a table', async () => {
  const body = await look();
  expect(body).toContain('state gap');
  expect(body).toContain('changes since');
  expect(body).toContain(`<dd><time datetime="${formatChinaIso(since)}">`);
  const line = rowsOf(body, 'Stretches of source time');
  const lost = h.now - 3 * DAY;
  expect(line.map(([state, from, to]) => [state, from, to])).toEqual([
    ['expired gap', shown(since), shown(reach(h.now))],
    ['covered', shown(reach(h.now)), shown(lost)],
    ['open gap', shown(lost), shown(h.now - 2 * DAY)],
    ['covered', shown(h.now - 2 * DAY), shown(h.now - 30_000)],
    ['to be loaded', shown(h.now - 30_000), shown(h.now)],
  ]);
  expect(line.map((cells) => cells[4])).toEqual([
    '–',
    '–',
    shown(recoverableUntil(lost)),
    '–',
    '–',
  ]);
  expect(body).toContain(`srcset="${ADDRESS}/coverage.svg?theme=dark"`);
  expect(body).toContain('<body data-live');
  const chinese = await look('', { 'accept-language': 'zh-CN' });
  expect(rowsOf(chinese, '源时间各段').map(([state]) => state)).toContain('可补缺口');
});

it('draws the time line as an image that a browser can read', async () => {
  const { headers, body } = await app.inject({
    url: `${ADDRESS}/coverage.svg?theme=dark`,
    headers: { ...PAGE, 'accept-language': 'zh' },
  });
  expect(headers['content-type']).toBe('image/svg+xml; charset=utf-8');
  const tags = body.replace(/<!\[CDATA\[.*?\]\]>/gs, '').match(/<[^>]*>/g)!;
  const form = /^<\/?[\w:]+(\s+[\w:-]+="[^"<>]*")*\s*\/?>$/;
  expect(tags.filter((tag) => !form.test(tag))).toEqual([]);
  expect(body).toContain('可补缺口');
  // Two covered stretches, one of each gap.
  const drawn = (colour: string) => body.split(`fill="${colour}"`).length - 1;
  expect([drawn('#58c472'), drawn('#e5b04a'), drawn('#ff8a80')]).toEqual([2, 1, 1]);
});

it('shows runs with whole receipts, requests with what remains, and rejects masked', async () => {
  serveRefused();
  h.now += HOUR;
  await h.run('meters', ORG);
  await recordRequest();
  const body = await look();
  const [run] = await h.query<Record<string, number>>('select * from vcc.run order by id desc');
  const counters = ['lines', 'accepted', 'rejected', 'inserted', 'updated', 'unchanged', 'stale'];
  const [cells] = rowsOf(body, 'Runs');
  expect(cells!.slice(0, 3)).toEqual([String(run!.id), 'done', 'schedule']);
  expect(cells!.slice(6, 15)).toEqual(
    [...counters, 'duplicate', 'flagged'].map((name) => String(run![name])),
  );
  expect(run).toMatchObject({ lines: 63, rejected: 3 });
  const [request] = rowsOf(body, 'Requests');
  expect(request![1]).toBe('re-sync (forced)');
  expect(request![3]).toContain('Still to load:');
  expect(request!.slice(4, 6)).toEqual(['a &lt;b> reason', 'web:olga']);
  expect(rowsOf(body, 'Rejects')).toEqual([
    ['field_count too few or too many fields', '2'],
    ['no_key no key', '1'],
  ]);
  expect(rowsOf(body, 'Newest rejects').map((row) => row[2])).toEqual(
    expect.arrayContaining(['20001|***|***', '20002|***|***']),
  );
  expect(body).not.toMatch(/张三|李四|13800138000/);
  expect(body).toContain(`/rejects?org=${ORG}&amp;dataset=meters`);
  h.interfere = null;
  await h.run('meters', ORG);
  const [finished] = rowsOf(await look(), 'Requests');
  expect(finished![3]).toMatch(/^finished .*1 run; \d+ inserted, \d+ updated$/);
});

it('shows a full extract, which has no beginning, and a replay, which covers nothing', async () => {
  await h.query(
    `with full_extract as (insert into vcc.request (feed_id, kind, during, requested_by, finished_at)
        select id, 'import', tstzrange(null, $1), 'cli:root', now() from vcc.feed
        where dataset = 'meters' returning id, feed_id, during),
      replay as (insert into vcc.request (feed_id, kind, requested_by, finished_at)
        select feed_id, 'replay', 'cli:root', now() from full_extract),
      run as (insert into vcc.run (feed_id, org_code, dataset, trigger, request_id, window_from, window_to,
          status, finished_at, worker)
        select feed_id, $2, 'meters', 'import', id, '-infinity', $1, 'done', now(), 'test' from full_extract)
      update vcc.feed f set baseline_at = $1, coverage = coverage + tstzmultirange(during)
        from full_extract where f.id = feed_id`,
    [new Date(reach(h.now)), ORG],
  );
  const body = await look();
  expect(body).toContain(`full as of <time datetime="${formatChinaIso(reach(h.now))}">`);
  expect(body).toContain(', with gaps');
  expect(rowsOf(body, 'Stretches of source time')[0]).toEqual(
    expect.arrayContaining(['covered', shown(since)]),
  );
  expect(rowsOf(body, 'Runs')[0]![5]).toBe(`–\u00a0– ${shown(reach(h.now))}`);
  const requests = rowsOf(body, 'Requests').map((row) => row.slice(1, 3));
  expect(requests).toEqual([
    ['replay', '–'],
    ['import', `–\u00a0– ${shown(reach(h.now))}`],
  ]);
});

it('makes a feed due at once, also one that keeps its distance after failures', async () => {
  await h.query(`update vcc.feed set consecutive_failures = 3, last_error_code = 'SOURCE_BUSY',
    last_error = 'too many requests'`);
  expect(await h.sync.feeds.due(h.now, 100)).not.toContainEqual({
    orgCode: ORG,
    dataset: 'meters',
  });
  expect(await look()).toContain('<code>SOURCE_BUSY</code> too many requests');
  const done = await act({ action: 'sync' });
  expect(done.statusCode).toBe(303);
  expect(done.headers.location).toBe(`${ADDRESS}?done=sync`);
  expect(await h.sync.feeds.due(h.now, 100)).toContainEqual({ orgCode: ORG, dataset: 'meters' });
  const body = await look('?done=sync');
  expect(body).toContain('role="status">Due at once');
  expect(body).toContain('<dd>at once</dd>');
});

it('pauses and resumes a feed, for the log, and does not synchronise one that is paused', async () => {
  expect((await act({ action: 'pause' })).headers.location).toBe(`${ADDRESS}?done=pause`);
  expect((await feed()).paused).toBe(true);
  const paused = await look();
  expect(paused).toContain('Paused: nothing is loaded');
  expect(paused).not.toContain('value="sync"');
  const { next_due_at: due } = await feed();
  const refused = await act({ action: 'sync' });
  expect(refused.statusCode).toBe(422);
  expect(refused.body).toContain('Resume it first');
  expect((await feed()).next_due_at).toBe(due);
  await act({ action: 'resume' });
  expect((await feed()).paused).toBe(false);
  const facts = { by: 'web', org: ORG, dataset: 'meters' };
  const logged = h.log.lines.filter(({ message }) => message === 'feed changed on its page');
  expect(logged.map((line) => line.facts)).toEqual([
    { ...facts, action: 'pause' },
    { ...facts, action: 'resume' },
  ]);
  await h.query('update vcc.org set enabled = false');
  expect((await act({ action: 'sync' })).statusCode).toBe(422);
  const disabled = await look();
  expect(disabled).toContain('Disabled:');
  expect(disabled).not.toMatch(/value="(sync|pause|resume)"/);
});

it('accepts an expired gap with a reason, and offers no other', async () => {
  const body = await look();
  const [, from] = /name="from" value="([^"]+)"/.exec(body)!;
  const [, to] = /name="from" value="[^"]+"\/><input type="hidden" name="to" value="([^"]+)"/.exec(
    body,
  )!;
  expect([from, to]).toEqual([since, reach(h.now)].map(formatChinaIso));
  expect(body.split('value="accept"')).toHaveLength(2);
  const gap = { action: 'accept', from: from!, to: to! };
  const unsaid = await act({ ...gap, reason: ' \n' });
  expect(unsaid.statusCode).toBe(422);
  const id = `fault-${since}`;
  expect(unsaid.body).toContain(`aria-describedby="${id}"`);
  expect(unsaid.body).toContain(`id="${id}" role="alert">Say why`);
  expect(unsaid.body).not.toContain('data-live');
  const long = await act({ ...gap, reason: 'x'.repeat(501) });
  expect(long.body).toContain('At most 500 characters');
  expect(await acceptances()).toEqual([]);
  const done = await act({ ...gap, reason: ' no\r\nfile kept ' });
  expect(done.headers.location).toBe(`${ADDRESS}?done=accept`);
  expect(await acceptances()).toEqual([
    {
      reason: 'no file kept',
      accepted_by: 'web',
      from: new Date(since),
      to: new Date(reach(h.now)),
    },
  ]);
  const after = await look();
  expect(after).not.toContain('value="accept"');
  expect(rowsOf(after, 'Stretches of source time')[0]![0]).toBe('accepted');
  expect(after).toContain('no file kept');
  // Twice, or of what can still be had: there is nothing to accept.
  for (const [start, end] of [
    [since, reach(h.now)],
    [h.now - 3 * DAY, h.now - 2 * DAY],
  ] as const) {
    const fields = { ...gap, from: formatChinaIso(start), to: formatChinaIso(end), reason: 'why' };
    const refused = await act(fields);
    expect(refused.statusCode).toBe(422);
    expect(refused.body).toContain('There is no expired gap');
  }
  const inverted = await act({ ...gap, from: to!, to: from!, reason: 'why' });
  expect(inverted.body).toContain('That is not an interval');
  expect(await acceptances()).toHaveLength(1);
});

it('knows no other feeds and no other actions', async () => {
  for (const path of [
    'XX1/meters',
    `${ORG}/rivers`,
    'a%00b/meters',
    `${ORG}/rivers/coverage.svg`,
  ]) {
    const answer = await app.inject({ url: `/feeds/${path}`, headers: PAGE });
    expect(answer.statusCode, path).toBe(404);
  }
  for (const action of ['', 'drop', 'toString']) {
    expect((await act({ action })).statusCode, action).toBe(422);
  }
  expect((await app.inject({ method: 'POST', url: ADDRESS, headers: PAGE })).statusCode).toBe(422);
});

it('lets a viewer look, and takes writes from operators and our own pages alone', async () => {
  await app.close();
  app = await openApp([
    testUser('olga', 'operator', 'correct horse'),
    testUser('vera', 'viewer', 'battery staple'),
  ]);
  const basic = (text: string) => ({
    authorization: `Basic ${Buffer.from(text).toString('base64')}`,
  });
  const vera = basic('vera:battery staple');
  const olga = basic('olga:correct horse');
  const body = await look('', vera);
  expect(body).toContain('expired gap');
  expect(body).toContain('you need to be an operator');
  expect(body).not.toContain('name="action"');
  for (const action of ['sync', 'pause', 'resume', 'accept']) {
    expect((await act({ action }, { ...OWN, ...vera })).statusCode).toBe(403);
    const foreign = { ...OWN, ...olga, origin: 'https://evil.example' };
    expect((await act({ action }, foreign)).statusCode).toBe(403);
    expect((await act({ action })).statusCode).toBe(401);
  }
  expect((await feed()).paused).toBe(false);
  const gap = { from: formatChinaIso(since), to: formatChinaIso(reach(h.now)), reason: 'why' };
  await act({ action: 'accept', ...gap }, { ...OWN, ...olga });
  expect(await acceptances()).toMatchObject([{ accepted_by: 'web:olga' }]);
});

browser.describe('in a browser', () => {
  it.each([
    ['en-US', 1280, false],
    ['en-US', 390, true],
    ['zh-CN', 1280, true],
    ['zh-CN', 390, false],
  ] as const)('the page is whole and works in %s at %d pixels', async (locale, width, dark) => {
    await fillLedgers();
    const url = await app.listen({ host: '127.0.0.1', port: 0 });
    const visit = await browser.visit(url, { locale, width, dark });
    const { page } = visit;
    try {
      // Time stands still but for what is run: renewals are exact.
      await page.clock.install({ time: h.now });
      await page.clock.pauseAt(h.now + 1_000);
      await page.goto(ADDRESS);
      const image = page.locator('img.chart');
      expect(await image.evaluate((one) => (one as HTMLImageElement).naturalWidth)).toBeGreaterThan(
        0,
      );
      const wide = await page.evaluate(() => document.documentElement.scrollWidth);
      expect(wide).toBeLessThanOrEqual(width);
      await browser.keepShot(page, `feed-${locale}-${width}${dark ? '-dark' : ''}`);
      let renewals = 0;
      page.on('request', (request) => {
        if (request.resourceType() === 'fetch') renewals += 1;
      });
      await h.query('update vcc.feed set missed = 4711');
      await page.clock.runFor(5_000);
      await page.getByText('4,711').waitFor();
      expect(renewals).toBe(1);
      // What is typed stays, though the page renews itself.
      const reason = page.locator('input[name=reason]');
      await reason.fill('the file is lost');
      await reason.blur();
      await page.clock.runFor(20_000);
      expect(await reason.inputValue()).toBe('the file is lost');
      expect(renewals).toBe(1);
      await page.locator('button[value=accept]').click();
      await page.waitForURL('**?done=accept');
      expect(await acceptances()).toMatchObject([{ reason: 'the file is lost' }]);
      await page.locator('button[value=pause]').click();
      await page.locator('button[value=resume]').waitFor();
      expect((await feed()).paused).toBe(true);
      expect(visit.complaints).toEqual([]);
    } finally {
      await visit.close();
    }
  });
});
