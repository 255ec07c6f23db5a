import { PassThrough } from 'node:stream';
import { text } from 'node:stream/consumers';
import { expect, test } from 'vitest';
import { readSecret } from '../../src/cli/secret-input.ts';

/** A terminal as far as readline needs one; it remembers whether it was told not to echo by itself. */
function terminal() {
  const raw: boolean[] = [];
  const input = Object.assign(new PassThrough(), {
    isTTY: true,
    setRawMode: (on: boolean) => raw.push(on),
  });
  const ask = new PassThrough();
  return { input, ask, raw };
}

test('a secret typed at a terminal is asked for and not echoed, and the terminal is set right again', async () => {
  const { input, ask, raw } = terminal();
  const secret = readSecret('VCC_BASE_KEY to seal', input, ask);
  input.write('hunter3\x7f2\r');
  expect(await secret).toBe('hunter2');
  ask.end();
  expect(await text(ask)).toBe('VCC_BASE_KEY to seal (not shown): \n');
  expect(raw).toEqual([true, false]);
});

test.each([
  ['Ctrl-C', '\x03'],
  ['Ctrl-D', '\x04'],
])('%s at the question ends it, and the terminal is set right again', async (_, key) => {
  const { input, ask, raw } = terminal();
  const secret = readSecret('VCC_BASE_KEY to seal', input, ask);
  input.write(key);
  await expect(secret).rejects.toThrow('nothing was entered');
  expect(raw).toEqual([true, false]);
});

test('a secret that is piped is read to its end, without a question', async () => {
  const ask = new PassThrough();
  const input = new PassThrough();
  input.write('hun');
  input.end('ter2\r\n');
  expect(await readSecret('?', input, ask)).toBe('hunter2');
  ask.end();
  expect(await text(ask)).toBe('');
});
