import type { DatasetName } from '../core/dataset.ts';
import { DATASETS } from '../datasets/catalogue.ts';
import { tokenHash } from './session.ts';

/** An interface that the simulator serves: by its path below the base URL. */
export interface ServedInterface {
  readonly code: string;
  readonly kind: 'token' | 'table' | 'subscriber';
  /** The dataset whose grant it needs; null for the token. */
  readonly dataset: DatasetName | null;
}

/** Every path that is served: 1002, 3001 to 3004, and 3005 under both its names (P8). */
export const INTERFACES: ReadonlyMap<string, ServedInterface> = new Map<string, ServedInterface>([
  ['/oauth2/getToken', { code: '1002', kind: 'token', dataset: null }],
  ...DATASETS.map(({ path, interfaceCode, name }): [string, ServedInterface] => [
    path,
    { code: interfaceCode, kind: 'table', dataset: name },
  ]),
  ['/subs/getSubsByCode', { code: '3005', kind: 'subscriber', dataset: 'subscribers' }],
  ['/user/getSubsByCode', { code: '3005', kind: 'subscriber', dataset: 'subscribers' }],
]);

/** One request as it arrived, its parameters decoded. */
export interface Call {
  readonly method: string;
  /** Below the base URL. */
  readonly path: string;
  /** Undefined for a path that is not served. */
  readonly served: ServedInterface | undefined;
  readonly parameters: Readonly<Record<string, string | undefined>>;
  /** Names that were given more than once. */
  readonly repeated: readonly string[];
}

/** Reads a request: its path below the base, and its query. */
export function readCall(method: string, path: string, query: URLSearchParams): Call {
  const names = [...new Set(query.keys())];
  return {
    method,
    path,
    served: INTERFACES.get(path),
    parameters: Object.fromEntries(names.map((name) => [name, query.get(name) ?? undefined])),
    repeated: names.filter((name) => query.getAll(name).length > 1),
  };
}

/** What the simulator was asked and how it ended; it holds no token and no row. */
export interface RequestRecord {
  /** Arrival by the simulator's clock, in milliseconds since the epoch. */
  readonly at: number;
  /** The interface's code, or `''` for a path that is not served. */
  readonly interface: string;
  readonly path: string;
  readonly orgCode: string | null;
  /** The table that was asked for; null for other calls. */
  readonly dataset: DatasetName | null;
  /** `lastTimestamp` and `timestamp` as sent. */
  readonly from: string | null;
  readonly to: string | null;
  readonly seq: string | null;
  /** A fingerprint of the token that was sent. */
  readonly token: string | null;
  /** `pending`, then `ok`, a result code, `interfered`, or `aborted` if the answer could not be sent whole. */
  result: string;
  /** Lines of the answered table, without its header. */
  rows: number;
  /** Arrival and end in real time, milliseconds since the epoch with fractions; null while under way. */
  readonly startedAt: number;
  endedAt: number | null;
}

/** The record of a call that has just arrived. */
export function openRecord({ path, served, parameters }: Call, at: number): RequestRecord {
  return {
    at,
    interface: served?.code ?? '',
    path,
    orgCode: parameters.orgCode ?? null,
    dataset: served?.kind === 'table' ? served.dataset : null,
    from: parameters.lastTimestamp ?? null,
    to: parameters.timestamp ?? null,
    seq: parameters.seq ?? null,
    token: parameters.token ? tokenHash(parameters.token) : null,
    result: 'pending',
    rows: 0,
    startedAt: realTime(),
    endedAt: null,
  };
}

/** Real time in milliseconds since the epoch, with fractions and never stepping back. */
export function realTime(): number {
  return performance.timeOrigin + performance.now();
}
