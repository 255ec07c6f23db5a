import { floorSecond, parseChinaTime, SECOND } from '../core/china-time.ts';
import type { Clock } from '../core/clock.ts';
import type { DatasetName } from '../core/dataset.ts';
import type { Interval } from '../core/interval.ts';
import { sign } from '../core/sign.ts';
import { LONGEST_REQUEST, reach } from '../core/window.ts';
import { CATALOGUE } from '../datasets/catalogue.ts';
import { type Answer, errorAnswer, jsonAnswer, tableAnswer } from './answer.ts';
import type { Call } from './call.ts';
import type { Grants } from './grants.ts';
import type { Bounds, Reading } from './history.ts';
import { type Refusal, refusal } from './result-codes.ts';
import type { SeqCheck } from './seq-check.ts';
import type { Sessions } from './session.ts';
import { subscriberAnswer } from './subscriber-query.ts';
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

/** In which form getToken tells the token's end (P4). */
export type ExpireTimeForm = (typeof EXPIRE_TIME_FORMS)[number];

/** How the platform behaves, where the document leaves it open. */
export interface PlatformSettings {
  readonly world: World;
  readonly clock: Clock;
  readonly appId: string;
  readonly baseKey: string;
  readonly reading: Reading;
  readonly bounds: Bounds;
  readonly tokenLifetime: number;
  readonly expireTime: ExpireTimeForm;
  readonly requireSign: boolean;
  readonly signSecret: 'token' | 'base';
  readonly seqCode: string | null;
  readonly sessions: Sessions;
  readonly grants: Grants;
  readonly checkSeq: SeqCheck;
}

/**
 * Answers one call, as strictly as the document allows (P1 to P8).
 *
 * @param ahead downloads of the same feed that were under way when this one came
 */
export function answerCall(settings: PlatformSettings, call: Call, ahead: number): Answer {
  const { served } = call;
  if (!served) return errorAnswer(refusal('UNKNOWN_PATH', 'there is no such interface'));
  const refused = checkShape(settings, call, served.code);
  if (refused) return errorAnswer(refused);
  if (served.kind === 'token') return tokenAnswer(settings, call);
  const denied = checkSession(settings, call) ?? checkGrant(settings, call, served.dataset);
  if (denied) return errorAnswer(denied);
  if (served.kind === 'subscriber') {
    return subscriberAnswer(settings.world, call.parameters, settings.clock());
  }
  return downloadAnswer(settings, call, served.dataset as DatasetName, ahead);
}

/** What every call must be: GET, each parameter once, a fresh message number (P1, P2). */
function checkShape(settings: PlatformSettings, call: Call, code: string): Refusal | null {
  if (call.method !== 'GET') return refusal('WRONG_METHOD', 'only GET is served');
  const [repeated] = call.repeated;
  if (repeated !== undefined) return refusal('BAD_PARAMETER', 'a parameter is given twice');
  return settings.checkSeq(call.parameters.seq, settings.seqCode ?? code);
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
function checkSession(settings: PlatformSettings, { parameters }: Call): Refusal | null {
  const refused = settings.sessions.check(parameters.token);
  if (refused) return refused;
  if (!parameters.sign) {
    return settings.requireSign ? refusal('SIGN_MISSING', 'sign is missing') : null;
  }
  const secret = settings.signSecret === 'base' ? settings.baseKey : (parameters.token as string);
  return parameters.sign === sign(parameters, secret) ? null : refusal('BAD_SIGN', 'sign is wrong');
}

/** Rights are granted per organisation and interface (P1). */
function checkGrant(
  { grants }: PlatformSettings,
  { parameters: { orgCode } }: Call,
  dataset: DatasetName | null,
): Refusal | null {
  if (!orgCode) return refusal('BAD_PARAMETER', 'orgCode is missing');
  if (dataset && grants.granted(orgCode, dataset)) return null;
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
  const { world, reading, bounds } = settings;
  const rows = world.changes(name, parameters.orgCode as string, window, { reading, bounds, now });
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
