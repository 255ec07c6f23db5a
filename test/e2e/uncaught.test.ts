import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { expect, test } from 'vitest';
import { spawnCommand } from '../support/service-process.ts';

/** Breaks a process from within, as a bug in a library would. */
const ACCIDENT = `setTimeout(() => {
  throw Object.assign(new Error('Failing row: 张三'), { detail: '13800138000' });
}, 1500)`;

test('an error that nobody catches ends the process without quoting anything', async () => {
  const script = `data:text/javascript,${encodeURIComponent(ACCIDENT)}`;
  const child = spawnCommand(['simulate', '--port', '0', '--subscribers', '1'], {
    NODE_OPTIONS: `--import=${script}`,
    LOG_LEVEL: 'trace',
  });
  const [stderr, [code]] = await Promise.all([text(child.stderr!), once(child, 'close')]);
  expect(code).toBe(1);
  expect(stderr).toMatch(/^INTERNAL: unexpected Error; /m);
  expect(stderr).not.toMatch(/张三|13800138000/);
});
