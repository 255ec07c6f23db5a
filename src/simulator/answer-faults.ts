import { z } from 'zod';
import { type Act, arrival, type Wire, wholeWire } from './fault.ts';
import { integer, pick, type Random } from './random.ts';
import { refusal } from './result-codes.ts';

const HTML = 'text/html;charset=UTF-8';
const JSON_TYPE = 'application/json;charset=UTF-8';

/** A page as a proxy shows it: with a bar and a column's name, as a navigation menu may have them. */
const PAGE =
  '<!DOCTYPE html>\n<html><head><title>系统维护</title></head>\n' +
  '<body><a>首页</a> | <a>状态</a><p>系统维护中，请稍后再试。</p></body></html>\n';

const busy = z.strictObject({
  /** How `Retry-After` asks to wait: not at all, in seconds, or until an HTTP date. */
  retryAfter: z.enum(['none', 'seconds', 'date']).default('none'),
  /** Seconds to wait. */
  seconds: z.int().min(0).default(2),
});

function sent(wire: Wire): Act {
  return { wire };
}

function json(body: object, contentType = JSON_TYPE): Act {
  return sent(wholeWire(Buffer.from(JSON.stringify(body)), contentType));
}

function busyWire(status: number, { retryAfter, seconds }: z.output<typeof busy>, now: number) {
  const wire = wholeWire(Buffer.from('busy\n'), 'text/plain', status);
  const forms = {
    none: null,
    seconds: String(seconds),
    date: new Date(now + seconds * 1000).toUTCString(),
  };
  const value = forms[retryAfter];
  return value === null ? wire : { ...wire, headers: { ...wire.headers, 'retry-after': value } };
}

function drawBusy(random: Random): z.input<typeof busy> {
  return {
    retryAfter: pick(random, ['none', 'seconds', 'date']),
    seconds: integer(random, 0, 3),
  };
}

/** Faults that put another answer in a table's place, getToken's answer too; nothing of it is right. */
export const ANSWER_FAULTS = {
  'too-many-requests': arrival({
    about: 'HTTP 429, with or without Retry-After',
    delivers: 'nothing',
    weight: 2,
    parameters: busy,
    draw: drawBusy,
    play: (parameters, { now }) => sent(busyWire(429, parameters, now)),
  }),
  unavailable: arrival({
    about: 'HTTP 503, with or without Retry-After',
    delivers: 'nothing',
    weight: 2,
    parameters: busy,
    draw: drawBusy,
    play: (parameters, { now }) => sent(busyWire(503, parameters, now)),
  }),
  'html-page': arrival({
    about: 'an HTML page with status 200',
    delivers: 'nothing',
    weight: 2,
    parameters: z.strictObject({}),
    play: () => sent(wholeWire(Buffer.from(PAGE), HTML)),
  }),
  'json-error-as-text': arrival({
    about: 'a JSON error with status 200, as text/plain',
    delivers: 'nothing',
    weight: 2,
    parameters: z.strictObject({ resultCode: z.string().default('99999') }),
    play: ({ resultCode }) =>
      json({ resultCode, resultMsg: 'system error' }, 'text/plain;charset=UTF-8'),
  }),
  'success-without-table': arrival({
    about: '{"resultCode":"0"} in place of a table or a token',
    delivers: 'nothing',
    weight: 2,
    parameters: z.strictObject({}),
    play: () => json({ resultCode: '0' }),
  }),
  'empty-body': arrival({
    about: 'status 200 and a body of no bytes',
    delivers: 'nothing',
    weight: 2,
    parameters: z.strictObject({}),
    play: () => sent(wholeWire(Buffer.alloc(0), 'text/plain;charset=UTF-8')),
  }),
  'not-granted': arrival({
    about: 'one organisation or dataset is refused, by a result code, while others work',
    delivers: 'nothing',
    weight: 1,
    parameters: z.strictObject({}),
    play: (_, { dataset }) =>
      // Rights are given per organisation and interface; getToken has neither (P1).
      dataset === null ? {} : json(refusal('NOT_GRANTED', 'this organisation is not granted')),
  }),
  maintenance: arrival({
    about: 'every call gets a maintenance page or HTTP 503, getToken included',
    delivers: 'nothing',
    // It is no matter of one call: switch it on for a while.
    weight: 0,
    parameters: z.strictObject({ as: z.enum(['page', 'unavailable']).default('page') }),
    play: ({ as }) => sent(wholeWire(Buffer.from(PAGE), HTML, as === 'page' ? 200 : 503)),
  }),
};
