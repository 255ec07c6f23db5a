import { gzipSync } from 'node:zlib';
import { z } from 'zod';
import type { Answer } from './answer.ts';
import { type Act, arrival, bodyOf, onAnswer, onTable, type Wire } from './fault.ts';
import { pick, type Random } from './random.ts';
import { tableHeader } from './table-body.ts';

const CODINGS = ['identity', 'gzip'] as const;

const body = z.strictObject({
  /** How much of the body is sent, from 0 to 1; of a body of known length never all of it. */
  share: z.number().min(0).max(1).default(0.5),
  coding: z.enum(CODINGS).default('identity'),
});

const whole = z.strictObject({ coding: z.enum(CODINGS).default('identity') });

const listener = z.strictObject({
  /** Real milliseconds for which nobody listens; not used while it is switched on. */
  ms: z.int().min(1).default(500),
});

const drip = z.strictObject({
  /** Into how many pieces the body is cut. */
  pieces: z.int().min(1).default(20),
  /** Real milliseconds between two pieces. */
  ms: z.int().min(0).default(10),
});

function drawBody(random: Random): z.input<typeof body> {
  const share = pick(random, [0, 0.01, 0.3, 0.5, 0.9, 1]);
  return { share, coding: pick(random, CODINGS) };
}

interface Coded {
  readonly bytes: Buffer;
  readonly headers: Readonly<Record<string, string>>;
}

/** An answer's body as it would be sent in a coding. */
function coded(answer: Answer, coding: (typeof CODINGS)[number]): Coded {
  const bytes = bodyOf(answer);
  const headers = { 'content-type': answer.contentType };
  if (coding === 'identity') return { bytes, headers };
  return { bytes: gzipSync(bytes), headers: { ...headers, 'content-encoding': 'gzip' } };
}

/** The beginning of an answer, at least a byte short of the whole. */
function begun(
  { answer, share, coding }: z.output<typeof body> & { answer: Answer },
  ending: Wire['ending'],
): Act {
  const { bytes, headers } = coded(answer, coding);
  const sent = Math.max(0, Math.min(bytes.length - 1, Math.floor(bytes.length * share)));
  const wire = { status: 200, headers, framing: 'length', length: bytes.length } as const;
  return { wire: { ...wire, body: [bytes.subarray(0, sent)], ending } };
}

function unframed(answer: Answer, { share, coding }: z.output<typeof body>): Act {
  const { bytes, headers } = coded(answer, coding);
  const sent = Math.floor(bytes.length * share);
  const wire = { status: 200, headers, framing: 'unframed', ending: 'end' } as const;
  return { wire: { ...wire, body: [bytes.subarray(0, sent)] } };
}

/** What swells: no line end in it, so that no line of it is ever complete. */
const BLOCK = 1 << 20;
const FILLING = 'x'.charCodeAt(0);

function* endless(head: Buffer): Generator<Buffer> {
  yield head;
  const block = Buffer.alloc(BLOCK, FILLING);
  for (;;) yield block;
}

/** Members of gzip may follow one another: a bomb of any size is one member again and again. */
function* bomb(head: Buffer, bytes: number): Generator<Buffer> {
  yield gzipSync(head);
  const member = gzipSync(Buffer.alloc(BLOCK, FILLING), { level: 9 });
  for (let sent = 0; sent < bytes; sent += BLOCK) yield member;
  // Cut, so that even a client that takes it all has no whole body.
  yield member.subarray(0, member.length >> 1);
}

/** Faults of connection and body: what arrives is cut, late, without an end or not there at all. */
export const TRANSFER_FAULTS = {
  'listener-closed': arrival({
    about: 'nobody listens for a while: connections are refused',
    delivers: 'nothing',
    weight: 1,
    parameters: listener,
    play: ({ ms }) => ({ connection: { deafFor: ms } }),
  }),
  'connection-destroyed': arrival({
    about: 'the connection ends before any byte',
    delivers: 'nothing',
    weight: 2,
    parameters: z.strictObject({}),
    play: () => ({ connection: 'destroyed' }),
  }),
  'no-answer': arrival({
    about: 'the connection stays open and no byte ever comes',
    delivers: 'nothing',
    weight: 1,
    parameters: z.strictObject({}),
    play: () => ({ connection: 'silent' }),
  }),
  'reset-in-body': onAnswer({
    about: 'the connection is reset in mid-body',
    delivers: 'nothing',
    weight: 2,
    parameters: body,
    draw: drawBody,
    play: (parameters, { answer }) => begun({ ...parameters, answer }, 'reset'),
  }),
  'cut-with-length': onAnswer({
    about: 'the body is shorter than its Content-Length',
    delivers: 'nothing',
    weight: 2,
    parameters: body,
    draw: drawBody,
    play: (parameters, { answer }) => begun({ ...parameters, answer }, 'close'),
  }),
  'cut-without-length': onAnswer({
    about: 'a chunked body without its terminator; with a share of 1 nothing else is missing',
    delivers: 'nothing',
    weight: 2,
    parameters: body,
    draw: drawBody,
    play({ share, coding }, { answer }) {
      const { bytes, headers } = coded(answer, coding);
      const sent = bytes.subarray(0, Math.floor(bytes.length * share));
      return { wire: { status: 200, headers, framing: 'chunked', body: [sent], ending: 'close' } };
    },
  }),
  // Tables only: a JSON answer without length is good, as it shows by itself that it is whole.
  'unframed-body': onTable({
    about: 'a whole body without length or chunks; right only with VCC_ALLOW_UNFRAMED',
    delivers: 'nothing',
    weight: 1,
    parameters: whole,
    draw: (random) => ({ coding: pick(random, CODINGS) }),
    play: ({ coding }, { answer }) => unframed(answer, { share: 1, coding }),
  }),
  'unframed-cut-body': onTable({
    about:
      'a body without length or chunks, cut; only with VCC_ALLOW_UNFRAMED it could pass unseen',
    delivers: 'nothing',
    weight: 1,
    parameters: body,
    draw: drawBody,
    play: (parameters, { answer }) => unframed(answer, parameters),
  }),
  'stalled-body': onAnswer({
    about: 'the body stops in the middle and the connection stays open',
    delivers: 'nothing',
    weight: 1,
    parameters: body,
    draw: drawBody,
    play: (parameters, { answer }) => begun({ ...parameters, answer }, 'silence'),
  }),
  'dripping-body': onAnswer({
    about: 'the body comes in small pieces with pauses; right if there is time for all of it',
    delivers: 'data',
    weight: 1,
    parameters: drip,
    play({ pieces, ms }, { answer }) {
      const { bytes, headers } = coded(answer, 'identity');
      const size = Math.max(1, Math.ceil(bytes.length / pieces));
      const parts: Buffer[] = [];
      for (let at = 0; at < bytes.length; at += size) parts.push(bytes.subarray(at, at + size));
      const wire = { status: 200, headers, framing: 'chunked', ending: 'end' } as const;
      return { wire: { ...wire, body: parts, pause: ms } };
    },
  }),
  'endless-body': onTable({
    about: 'a header, then a line that never ends',
    delivers: 'nothing',
    weight: 0.5,
    parameters: z.strictObject({}),
    play(_, { answer, dataset }) {
      const headers = { 'content-type': answer.contentType };
      const head = Buffer.from(`${tableHeader(dataset)}\n`);
      return {
        wire: { status: 200, headers, framing: 'chunked', body: endless(head), ending: 'end' },
      };
    },
  }),
  'gzip-bomb': onTable({
    about: 'a small gzip body that swells by a thousand times, and is cut behind that',
    delivers: 'nothing',
    weight: 0.5,
    parameters: z.strictObject({
      /** Decoded bytes, in whole MiB. */
      bytes: z
        .int()
        .min(1)
        .default(1 << 30),
    }),
    play({ bytes }, { answer, dataset }) {
      const headers = { 'content-type': answer.contentType, 'content-encoding': 'gzip' };
      const body = bomb(Buffer.from(`${tableHeader(dataset)}\n`), bytes);
      return { wire: { status: 200, headers, framing: 'chunked', body, ending: 'end' } };
    },
  }),
};
