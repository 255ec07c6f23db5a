import { randomUUID } from 'node:crypto';
import { open } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { extname, join } from 'node:path';
import { Readable } from 'node:stream';
import { type Command, InvalidArgumentError } from 'commander';
import { FatalError } from '../core/errors.ts';
import { proposedName } from '../core/file-name.ts';
import type { Unanswered } from '../vcc/attempt.ts';
import type { Bytes } from '../vcc/download.ts';
import { CALLS, interfaceOf } from '../vcc/interfaces.ts';
import type { PostBody } from '../vcc/request.ts';
import { run } from './action.ts';
import { CommandFailure } from './failure.ts';
import type { Output } from './output.ts';
import { CALL_SETTINGS, type CallSurroundings, openPlatform } from './platform.ts';
import { isStdout, type OpenTarget, openTarget, printBytes, saveBytes } from './saved-file.ts';
import { nameOfFile, whyUnreadable } from './table-file.ts';

/** The largest body that is posted, in bytes: it is signed as a whole. */
const LARGEST_BODY = 2 * 1_048_576;

/** What every call carries of itself. */
const OWN = ['seq', 'token', 'sign'];

interface CallOptions {
  readonly post?: string;
  readonly interface?: string;
  readonly output?: string;
}

/** Adds `call`: any call of the document, those of which it has the title alone included. */
export function registerCall(program: Command): void {
  program
    .command('call')
    .description('send any call of the document and print the answer as it came')
    .argument('<path>', 'path below VCC_BASE_URL, such as /subs/querySubs', readPath)
    .argument('[parameter...]', 'name=value; seq, token and sign are added', readParameter)
    .option('--post <file>', 'post this file, or what this pipe gives, as the body; - reads stdin')
    .option(
      '--interface <code>',
      'code that heads the message number, such as 3011; known for paths in the document',
      readInterface,
    )
    .option('-o, --output <file>', 'where to write the answer, replacing what is there')
    .addHelpText(
      'after',
      [
        '\nGET, or POST of application/json with --post. A refused token is renewed and the call repeated',
        'once; an error of the platform is reported as such, with exit code 1. An answer without a body is',
        'done with status 204 or 205, and exit code 1 with any other, which tells neither success nor failure.',
        'Some calls change something at the platform: nothing asks before they are sent. A file that answers',
        'one without --output goes to a temporary file where stdout is a terminal; -o - prints it there.',
      ].join('\n'),
    )
    .action(run(CALL_SETTINGS, call));
}

/** A path that no server reads as another: without percent signs, parameters, empty or dot segments. */
const PLAIN_PATH = /^(?=.{2,200}$)(?:\/(?!\.{1,2}(?:\/|$))[\w.-]+)+\/?$/;

function readPath(text: string): string {
  if (!PLAIN_PATH.test(text)) {
    throw new InvalidArgumentError(
      'expected a plain path such as /subs/querySubs, without % or dot segments.',
    );
  }
  // Some servers do not mind an ending, a slash behind it, or capital letters.
  if (new RegExp(`^${CALLS.token.path}(?![\\w-])`, 'i').test(text)) {
    throw new InvalidArgumentError(
      'getToken would end the token in use; vcc-sync doctor tries it.',
    );
  }
  return text;
}

function readParameter(
  text: string,
  before: Readonly<Record<string, string>> = {},
): Readonly<Record<string, string>> {
  const [, name = '', value = ''] = /^([\w.-]{1,100})=(.*)$/s.exec(text) ?? [];
  if (name === '') throw new InvalidArgumentError('expected name=value.');
  if (OWN.includes(name)) throw new InvalidArgumentError(`${name} is added by itself.`);
  if (Object.hasOwn(before, name)) throw new InvalidArgumentError(`${name} is given twice.`);
  return { ...before, [name]: value };
}

function readInterface(text: string): string {
  if (/^\d{4}$/.test(text)) return text;
  throw new InvalidArgumentError('expected 4 digits, such as 3011.');
}

async function call(
  surroundings: CallSurroundings,
  path: string,
  parameters: Readonly<Record<string, string>> = {},
  { post, output, ...options }: CallOptions,
): Promise<0> {
  const { settings, out } = surroundings;
  const interfaceCode = options.interface ?? interfaceOf(path) ?? settings.VCC_SEQ_CODE;
  if (interfaceCode === null) {
    throw new FatalError(
      'CONFIG',
      `${path} is no path of the document: name the interface, such as --interface 3011`,
    );
  }
  const body = post === undefined ? undefined : await readBody(post);
  // Before anything is sent: a call that changed something can not be sent again for its answer.
  const target = output === undefined || isStdout(output) ? null : await openFile(output);
  if (target) surroundings.defer(() => target.discard());
  const { client, signal } = await openPlatform(surroundings);
  const request = { interfaceCode, path, parameters, ...(body && { body }) };
  const answered = await client.call(request, signal);
  if (answered.kind === 'nothing') return reportNothing(answered, out);
  if (answered.kind === 'json') {
    const { text } = answered.json;
    // As it was sent: a number keeps all its digits.
    if (output === undefined) out.line(text.trim());
    else await (target?.save ?? printBytes)(Readable.from([Buffer.from(text)]));
    return 0;
  }
  const { bytes } = answered;
  if (target) await target.save(bytes.body);
  else if (output === undefined && process.stdout.isTTY && !isText(bytes.mediaType)) {
    out.note(`the answer is a file, which is kept in ${await keep(bytes, interfaceCode)}`);
  } else await printBytes(bytes.body);
  return 0;
}

function openFile(path: string): Promise<OpenTarget> {
  return openTarget({ path, mayReplace: true });
}

/** Saves an answer that nobody named a file for, and tells its path; a terminal is no place for it. */
async function keep({ body, disposition }: Bytes, interfaceCode: string): Promise<string> {
  const ending = extname(proposedName(disposition) ?? '');
  const path = join(tmpdir(), `${interfaceCode}-${randomUUID()}${ending}`);
  await saveBytes(body, { path, mayReplace: false });
  return path;
}

/** HTTP knows a success that has nothing to say; of any other empty body nobody knows what it means (P5). */
function reportNothing({ status }: Unanswered, out: Output): 0 {
  if (status !== 204 && status !== 205) {
    throw new CommandFailure(
      `HTTP ${status} with an empty body: the answer tells neither success nor failure, so whether anything was done at the platform is not known`,
    );
  }
  out.note(`HTTP ${status}: done, by its status; the answer has no body`);
  return 0;
}

function isText(mediaType: string | null): boolean {
  return mediaType?.startsWith('text/') ?? false;
}

/** Reads what is to be posted. @throws FatalError CONFIG if it is not there, too large or no UTF-8 */
async function readBody(path: string): Promise<PostBody> {
  const name = nameOfFile(path);
  const content = await readAll(path).catch((error) => {
    throw new FatalError('CONFIG', `${name}: ${whyUnreadable(error)}`);
  });
  if (content.length > LARGEST_BODY) {
    throw new FatalError('CONFIG', `${name}: it is larger than ${LARGEST_BODY} bytes`);
  }
  return {
    contentType: 'application/json;charset=UTF-8',
    length: content.length,
    signed: decode(content, name),
    open: () => Readable.from([content]),
  };
}

/** Reads what a file or a pipe gives, up to a little more than allowed: that is enough to know. */
async function readAll(path: string): Promise<Buffer> {
  const stream = path === '-' ? process.stdin : (await open(path)).createReadStream();
  const pieces: Buffer[] = [];
  let length = 0;
  for await (const piece of stream) {
    pieces.push(piece);
    length += piece.length;
    if (length > LARGEST_BODY) break;
  }
  return Buffer.concat(pieces);
}

/** The text that is signed is UTF-8 (P3). */
function decode(content: Buffer, name: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(content);
  } catch {
    throw new FatalError('CONFIG', `${name}: it is not UTF-8, which a signature is made over`);
  }
}
