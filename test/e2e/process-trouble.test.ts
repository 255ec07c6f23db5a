import { describe, expect, it } from 'vitest';
import { hang } from '../support/hanging-download.ts';
import { stopsInOrder, useService } from '../support/service-suite.ts';

/** A test that waits until the queue takes a dead worker's jobs from it, in milliseconds. */
const TAKE_OVER = 600_000;

describe('a process that is killed or stopped in the middle of a download', () => {
  const service = useService({});

  it(
    'leaves its feeds to another, and its runs are closed as interrupted',
    async () => {
      const { current: h } = service;
      const one = await service.start();
      await service.expectEqualAfter(Date.now());
      const giveUp = await hang(h);
      one.kill('SIGKILL');
      giveUp();
      await service.start();
      h.world.change(20, Date.now());
      await service.expectEqualAfter(Date.now());
      const rest = await h.query(`select status from vcc.run where status in ('running', 'failed')
      and started_at < now() - interval '20 seconds'`);
      expect(rest).toEqual([]);
      const [killed] = await h.query(
        `select count(*) > 0 as any from vcc.run where status = 'interrupted' and error_code = 'INTERRUPTED'`,
      );
      expect(killed).toEqual({ any: true });
    },
    TAKE_OVER,
  );

  it(
    'is ended after a minute of silence, and does no harm when it comes back',
    async () => {
      const { current: h } = service;
      const one = await service.start();
      await service.expectEqualAfter(Date.now());
      const giveUp = await hang(h);
      one.kill('SIGSTOP');
      giveUp();
      // The minute has passed: its heartbeat is a minute older than it is.
      await h.query(
        `update vcc.run set heartbeat_at = now() - interval '61 seconds' where status = 'running'`,
      );
      await service.start();
      h.world.change(20, Date.now());
      await service.expectEqualAfter(Date.now());
      one.kill('SIGCONT');
      h.world.change(20, Date.now());
      await service.expectEqualAfter(Date.now());
      const [failures] = await h.query('select max(consecutive_failures) as most from vcc.feed');
      expect(failures).toEqual({ most: 0 });
      await stopsInOrder(one);
    },
    TAKE_OVER,
  );
});
