import { expect, it } from 'vitest';
import { eventually } from '../support/eventually.ts';
import { spawnServiceProcess } from '../support/service-process.ts';
import { APP_ID, BASE_KEY } from '../support/sync-harness.ts';

/** What a service logs that waits for a database which is away, and is asked to stop. */
async function logged(level: string): Promise<string[]> {
  const settings = {
    DATABASE_URL: 'postgres://postgres@127.0.0.1:1/away',
    VCC_APP_ID: APP_ID,
    VCC_BASE_KEY: BASE_KEY,
    LOG_LEVEL: level,
  };
  const one = spawnServiceProcess(settings, ['--role', 'planner']);
  await eventually(() =>
    expect(one.lines.map(({ msg }) => msg)).toContain('waiting for the database'),
  );
  expect(one.lines[0]).toMatchObject({ level: 'warn', code: 'DATABASE_AWAY' });
  expect((await one.stop()).code).toBe(0);
  // Nothing is written that is not a line of JSON.
  expect(one.stderr().trimEnd().split('\n')).toHaveLength(one.lines.length);
  return one.lines.map(({ msg }) => msg);
}

it('LOG_LEVEL leaves out what is less severe', async () => {
  expect(await logged('info')).toEqual(['waiting for the database', 'stopping', 'stopped']);
  expect(await logged('warn')).toEqual(['waiting for the database']);
});
