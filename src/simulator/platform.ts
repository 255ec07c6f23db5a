import { floorSecond, formatChinaTime, parseChinaTime, SECOND } from '../core/china-time.ts';
import type { Clock } from '../core/clock.ts';
import type { DatasetName } from '../core/dataset.ts';
import type { Interval } from '../core/interval.ts';
import { sign } from '../core/sign.ts';
import { LONGEST_REQUEST, reach } from '../core/window.ts';
import { CATALOGUE } from '../datasets/catalogue.ts';
import { type Answer, errorAnswer, jsonAnswer, tableAnswer } from './answer.ts';
import type { Call, ServedInterface } from './call.ts';
import type { Grants } from './grants.ts';
import { HEADINGS } from './headings.ts';
import type { Bounds, Reading } from './history.ts';
import type { MediaShelf } from './media-shelf.ts';
import { type Refusal, refusal } from './result-codes.ts';
import type { SeqCheck } from './seq-check.ts';
import type { Sessions } from './session.ts';
import { boundAnswer, searchAnswer, subscriberAnswer } from './subscriber-query.ts';
import type { World } from './world.ts';

/** Every form in which getToken may tell the token's end (P4). */
export const EXPIRE_TIME_FORMS = [
  'seconds',
  'unix-seconds',
  'unix-milliseconds',
  'digits-in-quotes',
  'words',
  'past',
  'missing',
] as const;

/** Which end of a window a platform may ignore; it then serves all it has before or behind. */
export type IgnoredEnd = 'none' | 'lastTimestamp' | 'timestamp' | 'both';

/** In which form getToken tells the token's end (P4). */
export type ExpireTimeForm = (typeof EXPIRE_TIME_FORMS)[number];

/** How the platform behaves, where the document leaves it open. */
export interface PlatformSettings {
  readonly world: World;
  readonly clock: Clock;
  /** The true clock, where the platform's own may be off. */
  readonly trueClock: Clock;
  readonly appId: string;
  readonly baseKey: string;
  readonly reading: Reading;
  readonly bounds: Bounds;
  readonly ignores: IgnoredEnd;
  readonly tokenLifetime: number;
  readonly expireTime: ExpireTimeForm;
  readonly requireSign: boolean;
  readonly signSecret: 'token' | 'base';
  readonly seqCode: string | null;
  readonly sessions: Sessions;
  readonly grants: Grants;
  readonly checkSeq: SeqCheck;
  readonly shelf: MediaShelf;
  readonly answerSign: 'none' | 'right' | 'wrong';
}

/**
 * Answers one call, as strictly as the document allows (P1 to P8).
 *
 * @param ahead downloads of the same feed that were under way when this one came
 */
export function answerCall(settings: PlatformSettings, call: Call, ahead: number): Answer {
  return signedAnswer(settings, call, unsignedAnswer(settings, call, ahead));
}

function unsignedAnswer(settings: PlatformSettings, call: Call, ahead: number): Answer {
  const { served, parameters } = call;
  if (!served) return errorAnswer(refusal('UNKNOWN_PATH', 'there is no such interface'));
  const refused = checkShape(settings, call, served);
  if (refused) return errorAnswer(refused);
  if (served.kind === 'token') return tokenAnswer(settings, call);
  const denied = checkSession(settings, call) ?? checkGrant(settings, call, served);
  if (denied) return errorAnswer(denied);
  const { world, clock, shelf } = settings;
  const kinds: Readonly<Record<typeof served.kind, () => Answer>> = {
    table: () => downloadAnswer(settings, call, served.dataset as DatasetName, ahead),
    subscriber: () => subscriberAnswer(world, parameters, clock()),
    search: () => searchAnswer(world, parameters, clock()),
    bound: () => boundAnswer(world, parameters, clock()),
    upload: () => shelf.upload(call),
    media: () => shelf.get(call),
    heading: () => headingAnswer(call, served.code),
  };
  return kinds[served.kind]();
}

/** What every call must be: of the right method, each parameter once, a fresh message number (P1, P2). */
function checkShape(
  settings: PlatformSettings,
  call: Call,
  { code, kind }: ServedInterface,
): Refusal | null {
  const isPost = call.method === 'POST';
  const isRight =
    kind === 'upload' ? isPost : call.method === 'GET' || (kind === 'heading' && isPost);
  if (!isRight) {
    return refusal('WRONG_METHOD', `only ${kind === 'upload' ? 'POST' : 'GET'} is served`);
  }
  const [repeated] = call.repeated;
  if (repeated !== undefined) return refusal('BAD_PARAMETER', 'a parameter is given twice');
  return settings.checkSeq(call.parameters.seq, settings.seqCode ?? code);
}

/** A call of which only the title is documented: what it was asked, without token and sign. */
function headingAnswer({ method, parameters, body }: Call, code: string): Answer {
  const { token, sign, ...asked } = parameters;
  const what = { interface: code, title: HEADINGS[code], method, parameters: asked, body };
  return jsonAnswer({ resultCode: '0', resultMsg: 'ok', ...what });
}

/** Signs a JSON object as P3 has it, or wrongly, where the options say so. */
function signedAnswer(settings: PlatformSettings, call: Call, answer: Answer): Answer {
  const { answerSign, baseKey, signSecret } = settings;
  if (answerSign === 'none' || !answer.contentType.startsWith('application/json')) return answer;
  const fields: unknown = JSON.parse(String(answer.chunks().next().value));
  if (Array.isArray(fields)) return answer;
  const body = { timestamp: formatChinaTime(settings.clock()), ...(fields as object) };
  const scalars = Object.entries(body).filter(([, value]) => typeof value !== 'object');
  const secret = signSecret === 'token' ? (call.parameters.token ?? baseKey) : baseKey;
  const right = sign(Object.fromEntries(scalars), secret);
  const given = answerSign === 'right' ? right : right.replace(/./g, 'F');
  return { ...jsonAnswer({ ...body, sign: given }), result: answer.result };
}

/** 1002: always signed, with the base key (P3, P4). */
function tokenAnswer(settings: PlatformSettings, { parameters }: Call): Answer {
  if (parameters.appId !== settings.appId) {
    return errorAnswer(refusal('UNKNOWN_APP', 'appId is missing or unknown'));
  }
  if (!parameters.sign) return errorAnswer(refusal('SIGN_MISSING', 'sign is missing'));
  if (parameters.sign !== sign(parameters, settings.baseKey)) {
    return errorAnswer(refusal('BAD_SIGN', 'sign is wrong'));
  }
  const { token, expiresAt } = settings.sessions.issue();
  const forms = {
    seconds: { expireTime: settings.tokenLifetime },
    'unix-seconds': { expireTime: Math.floor(expiresAt / SECOND) },
    'unix-milliseconds': { expireTime: expiresAt },
    'digits-in-quotes': { expireTime: String(settings.tokenLifetime) },
    words: { expireTime: 'two hours' },
    // The document's own example, long gone.
    past: { expireTime: 1_486_488_177 },
    missing: {},
  };
  return jsonAnswer({ ...forms[settings.expireTime], token });
}

/** The token first, since it is the secret of the signature; a sign that is given must be right (P3). */
function checkSession(settings: PlatformSettings, { parameters, body }: Call): Refusal | null {
  const refused = settings.sessions.check(parameters.token);
  if (refused) return refused;
  if (!parameters.sign) {
    return settings.requireSign ? refusal('SIGN_MISSING', 'sign is missing') : null;
  }
  const secret = settings.signSecret === 'base' ? settings.baseKey : (parameters.token as string);
  return parameters.sign === sign(parameters, secret, body)
    ? null
    : refusal('BAD_SIGN', 'sign is wrong');
}

/** Rights are granted per organisation and interface (P1). */
function checkGrant(
  { grants }: PlatformSettings,
  { parameters: { orgCode } }: Call,
  { dataset }: ServedInterface,
): Refusal | null {
  if (dataset === null) return null;
  if (!orgCode) return refusal('BAD_PARAMETER', 'orgCode is missing');
  if (grants.granted(orgCode, dataset)) return null;
  return refusal('NOT_GRANTED', 'this organisation or interface is not granted');
}

/** 3001 to 3004: the rows of a window, as far as the clock has come (P7). */
function downloadAnswer(
  settings: PlatformSettings,
  { parameters }: Call,
  name: DatasetName,
  ahead: number,
): Answer {
  const now = settings.clock();
  const window = readWindow(parameters, now);
  if ('resultCode' in window) return errorAnswer(window);
  if (ahead > 0) {
    return errorAnswer(refusal('DOWNLOAD_UNDER_WAY', 'this table is being downloaded already'));
  }
  const { world, reading, bounds, ignores } = settings;
  const served = {
    from: ignores === 'none' || ignores === 'timestamp' ? window.from : reach(now),
    to: ignores === 'none' || ignores === 'lastTimestamp' ? window.to : floorSecond(now),
  };
  const how = { reading, bounds, now, present: settings.trueClock() };
  const rows = world.changes(name, parameters.orgCode as string, served, how);
  return tableAnswer(CATALOGUE[name], rows);
}

/** The window that a download asks for, or why it can not be had: both ends needed, a month, 28 days (P7). */
function readWindow(parameters: Call['parameters'], now: number): Interval | Refusal {
  const from = parseChinaTime(parameters.lastTimestamp ?? '');
  const to = parseChinaTime(parameters.timestamp ?? '');
  if (from === null || to === null) {
    return refusal('BAD_PARAMETER', 'lastTimestamp or timestamp is missing or not yyyyMMddHHmmss');
  }
  if (from > to) return refusal('BAD_PARAMETER', 'lastTimestamp is after timestamp');
  if (from < reach(now)) return refusal('BEFORE_REACH', 'only one month can be downloaded');
  if (to - from > LONGEST_REQUEST) {
    return refusal('WINDOW_TOO_LONG', 'only one month can be downloaded at once');
  }
  // A time to come is no error; there is just nothing there yet.
  return { from, to: Math.max(from, Math.min(to, floorSecond(now))) };
}
