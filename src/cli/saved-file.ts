import { randomUUID } from 'node:crypto';
import { constants, createWriteStream } from 'node:fs';
import { type FileHandle, open, realpath, rename, rm, stat } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { FatalError } from '../core/errors.ts';
import { CommandFailure } from './failure.ts';

/** Whether a person who names this file means stdout; a name that came by other means is that of a file. */
export function isStdout(path: string): boolean {
  return ['-', '/dev/stdout', '/dev/fd/1', '/proc/self/fd/1'].includes(path);
}

/** Writes bytes to stdout, as they come. */
export async function printBytes(bytes: AsyncIterable<Buffer>): Promise<void> {
  await pipeline(Readable.from(bytes), process.stdout, { end: false });
}

/** Where bytes go. */
export interface Target {
  /** Path of the file, whatever it is called. */
  readonly path: string;
  /** Whether what has that name may be replaced or written into: a person named it. */
  readonly mayReplace: boolean;
}

/** A target that is open, before there is anything to write. */
export interface OpenTarget {
  /** Writes the bytes, once. @throws CommandFailure if they can not be written */
  save(bytes: AsyncIterable<Buffer>): Promise<void>;
  /** Leaves nothing behind of what was not saved; harmless twice and after `save`. */
  discard(): Promise<void>;
}

/**
 * Opens a file for bytes, so that it is known that they can be written before they are asked for.
 *
 * A file is written whole or not at all, and only this user may read it; of a symbolic link what it leads
 * to is replaced. What is there and no file, such as a device or a pipe, is written into.
 *
 * @throws CommandFailure if it can not be written
 * @throws FatalError CONFIG if it is there and may not be replaced
 */
export async function openTarget(target: Target): Promise<OpenTarget> {
  const { path, mayReplace } = target;
  if (mayReplace && (await isWrittenInto(path))) {
    // It may be a log that others append to; and nothing is created should it be gone by now.
    const flags = constants.O_WRONLY | constants.O_APPEND;
    const file = await open(path, flags).catch(refuse(path));
    return { save: (bytes) => write(file, bytes, path), discard: () => file.close() };
  }
  return openPart(target);
}

/** Writes bytes to a file, as `openTarget` says. @throws what it throws */
export async function saveBytes(bytes: AsyncIterable<Buffer>, target: Target): Promise<void> {
  const file = await openTarget(target);
  await file.save(bytes);
}

/** Names of what the process has open already: the file behind it is not ours to replace. */
const OPEN_ALREADY = /^\/(?:dev\/(?:stderr|fd\/\d+)|proc\/self\/fd\/\d+)$/;

async function isWrittenInto(path: string): Promise<boolean> {
  if (OPEN_ALREADY.test(path)) return true;
  const there = await stat(path).catch(() => null);
  return there !== null && !there.isFile();
}

/** Opens a file beside the target that takes its place once it is whole. */
async function openPart({ path, mayReplace }: Target): Promise<OpenTarget> {
  // Takes the name, so that two that save at once do not both get it.
  if (!mayReplace) await open(path, 'wx', 0o600).then((file) => file.close(), refuse(path));
  const place = await realpath(path).catch(() => path);
  const part = `${place}.${randomUUID()}.part`;
  let file: FileHandle | undefined;
  let saved = false;
  const discard = async () => {
    await file?.close();
    await rm(part, { force: true });
    if (!mayReplace && !saved) await rm(path, { force: true });
  };
  const orDiscard = async (error: unknown) => {
    await discard();
    throw error;
  };
  const opened = await open(part, 'wx', 0o600).catch(refuse(path)).catch(orDiscard);
  file = opened;
  const save = async (bytes: AsyncIterable<Buffer>) => {
    await write(opened, bytes, path);
    await rename(part, place).catch(refuse(path));
    saved = true;
  };
  return { save: (bytes) => save(bytes).catch(orDiscard), discard };
}

/** Writes bytes to an open file and closes it. */
async function write(file: FileHandle, bytes: AsyncIterable<Buffer>, path: string): Promise<void> {
  try {
    await pipeline(Readable.from(bytes), createWriteStream('', { fd: file }));
  } catch (error) {
    // A full disk shows only once bytes are written.
    if ((error as NodeJS.ErrnoException).syscall === 'write') refuse(path)(error as Error);
    throw error;
  }
}

/** Says why a file can not be written. */
function refuse(path: string): (error: NodeJS.ErrnoException) => never {
  return ({ code }) => {
    if (code === 'EEXIST') {
      throw new FatalError('CONFIG', `${path} is there already; name another file with --output`);
    }
    throw new CommandFailure(`${path} can not be written (${code ?? 'unknown'})`);
  };
}
