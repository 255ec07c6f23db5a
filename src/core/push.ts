import { timingSafeEqual } from 'node:crypto';
import { MINUTE, parseChinaTime } from './china-time.ts';
import { type DatasetName, ORG_CODE } from './dataset.ts';
import { sign } from './sign.ts';

/** The notices that the platform pushes, and the dataset that has changed; 7005 (work orders) has none here. */
export const PUSH_INTERFACES: Readonly<Record<string, DatasetName | null>> = {
  7001: 'addresses',
  7002: 'supply_points',
  7003: 'subscribers',
  7004: 'meters',
  7005: null,
};

/** How far a notice's time may lie from the platform's clock, in milliseconds. */
export const NOTICE_TOLERANCE = 15 * MINUTE;

/** The code that the document gives for the message numbers of all interfaces, by a slip (P2). */
const SLIPPED_CODE = '1001';

/** A notice as it arrived. */
export interface ReceivedNotice {
  /** From its address: one of `PUSH_INTERFACES`. */
  readonly interfaceCode: string;
  readonly query: readonly (readonly [name: string, value: string])[];
  /** Its body as text; mostly there is none. */
  readonly body: string;
}

/** A genuine notice; whether it is fresh and no repeat is still to be found out. */
export interface Notice {
  readonly seq: string;
  readonly interfaceCode: string;
  /** What has changed; null for what is not kept here. */
  readonly dataset: DatasetName | null;
  /** Whose; null: any organisation's. */
  readonly orgCode: string | null;
  /** When it was sent, by its number; milliseconds since the epoch. */
  readonly sentAt: number;
}

/** Why a notice is refused: it can not be read, or its signature is missing or wrong. */
export type NoticeFault = 'malformed' | 'unsigned' | 'forged';

/**
 * Reads a notice and checks it (P2, P3, P8): only a right signature lets anything else of it be looked at.
 *
 * @param secret what the platform signs notices with
 */
export function readNotice(
  { interfaceCode, query, body }: ReceivedNotice,
  secret: string,
): Notice | { readonly fault: NoticeFault } {
  const parameters = Object.fromEntries(query);
  // Given twice, nobody could say which of them was signed.
  if (Object.keys(parameters).length !== query.length) return { fault: 'malformed' };
  const { sign: given = '', seq = '' } = parameters;
  if (given === '') return { fault: 'unsigned' };
  if (!isSame(given.toUpperCase(), sign(parameters, secret, body))) return { fault: 'forged' };
  // An empty parameter takes no part in the sign (P3): it counts as none.
  const orgCode = parameters.orgCode || orgCodeIn(body);
  const sentAt = /^\d{32}$/.test(seq) ? parseChinaTime(seq.slice(4, 18)) : null;
  const isOurs = [interfaceCode, SLIPPED_CODE].includes(seq.slice(0, 4));
  if (sentAt === null || !isOurs || (orgCode && !ORG_CODE.test(orgCode))) {
    return { fault: 'malformed' };
  }
  const dataset = PUSH_INTERFACES[interfaceCode] ?? null;
  return { seq, interfaceCode, dataset, orgCode: orgCode || null, sentAt };
}

/**
 * Whether a notice is about now.
 *
 * @param now the platform's clock, in milliseconds since the epoch
 */
export function isFresh({ sentAt }: Pick<Notice, 'sentAt'>, now: number): boolean {
  return Math.abs(sentAt - now) <= NOTICE_TOLERANCE;
}

/** Compares in the same time, wherever the two differ. */
function isSame(given: string, right: string): boolean {
  const [a, b] = [Buffer.from(given), Buffer.from(right)];
  return a.length === b.length && timingSafeEqual(a, b);
}

/** The organisation that a JSON body names; undefined if it is another body. */
function orgCodeIn(body: string): string | undefined {
  try {
    const { orgCode } = JSON.parse(body);
    return typeof orgCode === 'string' ? orgCode : undefined;
  } catch {
    return undefined;
  }
}
