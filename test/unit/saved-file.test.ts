import { execFile } from 'node:child_process';
import {
  lstat,
  mkdir,
  mkdtemp,
  open,
  readdir,
  readFile,
  readlink,
  rm,
  symlink,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { CommandFailure } from '../../src/cli/failure.ts';
import { openTarget, saveBytes } from '../../src/cli/saved-file.ts';
import { RetryableError } from '../../src/core/errors.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'vcc-sync-'));
});
afterEach(() => rm(folder, { recursive: true }));

/** Bytes that end with a failure. */
async function* failing(error: Error): AsyncGenerator<Buffer> {
  yield Buffer.from('half');
  throw error;
}

describe('a file that can not be saved whole', () => {
  it('says that the disk is full, and leaves nothing', async () => {
    const target = { path: join(folder, 'a.jpg'), mayReplace: false };
    const full = Object.assign(new Error('no space left'), { code: 'ENOSPC', syscall: 'write' });
    await expect(saveBytes(failing(full), target)).rejects.toThrow(
      new CommandFailure(`${target.path} can not be written (ENOSPC)`),
    );
    expect(await readdir(folder)).toEqual([]);
  });

  it('leaves nothing where the platform has failed, which is told as it is', async () => {
    const target = { path: join(folder, 'a.jpg'), mayReplace: false };
    const cut = new RetryableError('TRUNCATED', 'the body was cut');
    await expect(saveBytes(failing(cut), target)).rejects.toBe(cut);
    expect(await readdir(folder)).toEqual([]);
  });
});

describe('what a person named', () => {
  const content = () => Readable.from([Buffer.from('con'), Buffer.from('tent')]);

  it('is written into where it is no file, such as a pipe, which stays one', async () => {
    const path = join(folder, 'pipe');
    await promisify(execFile)('mkfifo', [path]);
    const stop = new AbortController();
    const reader = promisify(execFile)('cat', [path], { signal: stop.signal });
    reader.catch(() => {});
    try {
      await saveBytes(content(), { path, mayReplace: true });
      expect((await lstat(path)).isFIFO()).toBe(true);
      expect((await reader).stdout).toBe('content');
      expect(await readdir(folder)).toEqual(['pipe']);
    } finally {
      stop.abort();
    }
  });

  it('is replaced where a link leads, and the link stays', async () => {
    await mkdir(join(folder, 'there'));
    const [link, file] = [join(folder, 'link'), join(folder, 'there', 'file')];
    await writeFile(file, 'before');
    await symlink('there/file', link);
    await saveBytes(content(), { path: link, mayReplace: true });
    expect(await readlink(link)).toBe('there/file');
    expect(await readFile(file, 'utf8')).toBe('content');
    expect([await readdir(folder), await readdir(join(folder, 'there'))]).toEqual([
      ['link', 'there'],
      ['file'],
    ]);
  });

  it('is not written where it is a folder', async () => {
    await expect(saveBytes(content(), { path: folder, mayReplace: true })).rejects.toThrow(
      new CommandFailure(`${folder} can not be written (EISDIR)`),
    );
  });

  it('is added to where it is what the process has open, not replaced', async () => {
    const file = join(folder, 'log');
    await writeFile(file, 'before ');
    const log = await open(file, 'a');
    try {
      await saveBytes(content(), { path: `/dev/fd/${log.fd}`, mayReplace: true });
    } finally {
      await log.close();
    }
    expect(await readFile(file, 'utf8')).toBe('before content');
    expect(await readdir(folder)).toEqual(['log']);
  });
});

describe('a file that is open before there is anything to write', () => {
  it.each([true, false])(
    'leaves nothing when it is given up (may replace: %s)',
    async (mayReplace) => {
      const target = await openTarget({ path: join(folder, 'a'), mayReplace });
      expect(await readdir(folder)).not.toEqual([]);
      await target.discard();
      await target.discard();
      expect(await readdir(folder)).toEqual([]);
    },
  );

  it.each([true, false])('stays when it is saved (may replace: %s)', async (mayReplace) => {
    const target = await openTarget({ path: join(folder, 'a'), mayReplace });
    await target.save(Readable.from([Buffer.from('content')]));
    await target.discard();
    expect(await readdir(folder)).toEqual(['a']);
  });
});
