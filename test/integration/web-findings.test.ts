import { expect, it } from 'vitest';
import { openComparisons } from '../../src/store/comparisons.ts';
import { buildApp } from '../../src/web/server.ts';
import { useHarness } from '../support/sync-harness.ts';
import { WEB_SETTINGS } from '../support/web-settings.ts';

const harness = useHarness({ world: { subscribersPerOrg: 0, changesPerDay: 0 } });
const ADDRESS = '/feeds/WJ0105/meters';

it("shows on a feed's page and tells scripts what comparisons have found, by keys that are codes alone", async () => {
  const h = harness.current;
  await h.addOrgs(['WJ0105']);
  const app = buildApp({
    world: h.sync,
    db: h.store.db,
    backend: () => null,
    settings: { ...WEB_SETTINGS, WEB_USERS: [] },
  });
  const show = async (language: string) => {
    const headers = { accept: 'text/html', host: 'localhost', 'accept-language': language };
    return (await (await app).inject({ url: ADDRESS, headers })).body;
  };
  const tell = async (query: string) => {
    const headers = { host: 'localhost' };
    return (await (await app).inject({ url: `/api/findings${query}`, headers })).json();
  };
  try {
    expect(await show('en')).toContain('Not compared yet.');
    const feed = (await h.store.feeds.find({ dataset: 'meters', orgCode: 'WJ0105' }))!;
    await openComparisons(h.store.db).record(
      { kind: 'reconcile', feedId: feed.id, during: null, reason: 'yearly', requestedBy: 'test' },
      {
        kind: 'extract',
        during: null,
        asOf: h.now,
        sourceRows: 1234,
        ownRows: 1233,
        compared: 1234,
        missing: 1,
        changed: 2,
        extra: null,
        stale: 0,
        findings: [
          { kind: 'missing', rowKey: 'M-4711', columns: null },
          { kind: 'changed', rowKey: '张三丰', columns: ['location', 'state'] },
          { kind: 'changed', rowKey: 'zhangsan', columns: ['state'], late: 3_600_000 },
        ],
      },
    );
    const page = await show('en');
    for (const text of [
      'full extract',
      '1,234',
      'M-4711',
      'location, state',
      '1h',
      'reconciliation',
    ]) {
      expect(page).toContain(text);
    }
    expect(page).not.toMatch(/张三丰|zhangsan/);
    expect(await show('zh')).toContain('缺失：仅来源有');
    const [told, ...others] = await tell('?org=WJ0105&dataset=meters');
    expect(others).toEqual([]);
    expect(told).toMatchObject({ kind: 'extract', org_code: 'WJ0105', missing: 1, changed: 2 });
    expect(told.findings).toMatchObject([
      { kind: 'changed', row_key: '***', columns: ['state'], late: 3600 },
      { kind: 'changed', row_key: null, columns: ['location', 'state'], late: null },
      { kind: 'missing', row_key: 'M-4711', columns: null },
    ]);
    expect((await tell('?limit=1&findings=1'))[0].findings).toHaveLength(1);
    expect(await tell('?dataset=addresses')).toEqual([]);
    for (const [query, field] of [
      ['?org=XX1', 'org'],
      ['?dataset=rivers', 'dataset'],
      ['?limit=0', 'limit'],
      ['?findings=3001', 'findings'],
      ['?page=2', 'page'],
    ]) {
      const { status, errors } = await tell(query!);
      expect([status, errors.map((error: { field: string }) => error.field)]).toEqual([
        422,
        [field],
      ]);
    }
    const kept = await h.query('select row_key from vcc.finding');
    expect(JSON.stringify(kept)).not.toContain('张三丰');
  } finally {
    await (await app).close();
  }
});
