import { expect, it } from 'vitest';
import { eventually } from '../support/eventually.ts';
import { useService } from '../support/service-suite.ts';

const service = useService({});

it('the planner of a running service thins the ledgers by the retentions that are set', async () => {
  const { current: h } = service;
  await h.addOrgs(['WJ0105']);
  await h.query(
    `insert into vcc.run (feed_id, org_code, dataset, trigger, window_from, window_to, status, finished_at,
        lines, accepted, inserted, worker)
      select id, org_code, dataset, 'schedule', '2026-01-01Z', '2026-01-02Z', 'done', now() - days * interval '1 day',
        changes, changes, changes, 'long ago'
      from vcc.feed, (values (3, 0), (8, 1), (6, 1)) as old (days, changes)`,
  );
  await h.query(
    `insert into vcc.reject (feed_id, run_id, line_no, reason, line_hash, line, window_to, last_seen)
      select id, 1, 2, 'field_count', days, 'a|b', '2026-01-02Z', now() - days * interval '1 day'
      from vcc.feed, (values (4), (6)) as old (days)`,
  );
  await service.start({ RUN_RETENTION: '7d', REJECT_RETENTION: '5d' });
  await eventually(async () => {
    expect(
      await h.query(
        `select inserted, count(*) from vcc.run where worker = 'long ago' group by inserted`,
      ),
    ).toEqual([{ inserted: 1, count: 4 }]);
    expect(
      await h.query('select line_hash as days, count(line) from vcc.reject group by 1 order by 1'),
    ).toEqual([
      { days: '4', count: 4 },
      { days: '6', count: 0 },
    ]);
  });
});
