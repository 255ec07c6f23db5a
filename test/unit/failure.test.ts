import { once } from 'node:events';
import { createServer } from 'node:net';
import { afterEach, expect, test, vi } from 'vitest';
import { listenFailure, reportFailure } from '../../src/cli/failure.ts';

afterEach(() => {
  vi.restoreAllMocks();
  vi.unstubAllEnvs();
});

/** What is said of an error at a log level. */
function said(error: unknown, level: string): string {
  vi.stubEnv('LOG_LEVEL', level);
  const write = vi.spyOn(process.stderr, 'write').mockReturnValue(true);
  reportFailure(error);
  return write.mock.calls.map(([text]) => String(text)).join('');
}

test('an unexpected error is never quoted, and tells its places when debugging', () => {
  const forged = 'Failing row: 张三\n    at 13800138000 (file:///x:1:2)\n    at file:///张三:1:2';
  const error = Object.assign(new TypeError(forged), { detail: '张三' });
  expect(said(error, 'info')).toBe(
    'INTERNAL: unexpected TypeError; please report it with the log line; LOG_LEVEL=debug shows more\n',
  );
  const debugged = said(error, 'trace');
  expect(debugged).toMatch(/\n {4}at .*failure\.test\.ts:\d+:\d+/);
  expect(debugged).not.toMatch(/张三|13800138000|Failing/);
});

test('whatever is thrown is reported', () => {
  for (const thrown of [null, undefined, '张三', { stack: '张三\n    at 张三 (node:x:1:1)' }]) {
    expect(said(thrown, 'trace')).toMatch(/^INTERNAL: unexpected/);
  }
});

test('an address that can not be listened on is named, with what it is set by', async () => {
  const settings = { host: 'WEB_HOST', port: 'WEB_PORT' };
  const server = createServer();
  const failed = once(server, 'error') as Promise<[Error]>;
  // Kept for documents: no machine has it.
  server.listen(8080, '192.0.2.7');
  expect(listenFailure((await failed)[0], settings)?.message).toBe(
    'WEB_HOST 192.0.2.7 is no address of this machine; name one, such as 127.0.0.1, or 0.0.0.0 for all of them',
  );
  expect(listenFailure(new Error('else'), settings)).toBeNull();
});
