import { Readable } from 'node:stream';
import { expect, it } from 'vitest';
import { openBody } from '../../src/vcc/body.ts';
import { sniff } from '../../src/vcc/download.ts';
import { type Reply, startDeadline } from '../../src/vcc/transport.ts';
import { cpuTime } from '../support/cpu-time.ts';

const HEADER = '表具编号|状态|组织机构编码';

/** What is thought of an answer whose body comes in these pieces. */
async function isTable(pieces: readonly Buffer[]): Promise<boolean> {
  const reply: Reply = {
    status: 200,
    header: (name) => (name === 'transfer-encoding' ? 'chunked' : null),
    body: Readable.from(pieces),
    deadline: startDeadline([], 60_000),
  };
  const reader = openBody(reply, { maxBody: 1 << 30, idleTimeout: 1000 });
  const sniffed = await sniff(reply, reader, { allowUnframed: false });
  reader.stop();
  return sniffed.form === 'table';
}

const single = (bytes: Buffer) => Array.from(bytes, (byte) => Buffer.from([byte]));

it('a table is known behind 60,000 blank lines that come one by one', async () => {
  const blank = Buffer.alloc(60_000, '\n');
  const cost = await cpuTime(async () => {
    expect(await isTable([...single(blank), Buffer.from(`${HEADER}\n`)])).toBe(true);
  });
  expect(cost).toBeLessThan(5_000);
});

it('a table is known by its first line within 64 KiB, whatever the pieces', async () => {
  for (const start of ['', '\ufeff', ' \t\r\n\n', '\ufeff\n']) {
    const bytes = Buffer.from(`${start}${HEADER}\nM1|A|WJ0105\n`);
    expect(await isTable([bytes])).toBe(true);
    expect(await isTable(single(bytes))).toBe(true);
  }
  const late = Buffer.from(`${'\n'.repeat(65_536)}${HEADER}\n`);
  for (const pieces of [[late], single(late), [late.subarray(0, 9), late.subarray(9)]]) {
    expect(await isTable(pieces)).toBe(false);
  }
});
