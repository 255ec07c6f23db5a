import type { DatasetName } from '../core/dataset.ts';
import { DATASETS } from '../datasets/catalogue.ts';
import { HEADINGS } from './headings.ts';
import { tokenHash } from './session.ts';

/** An interface that the simulator serves: by its path below the base URL. */
export interface ServedInterface {
  readonly code: string;
  readonly kind:
    | 'token'
    | 'table'
    | 'subscriber'
    | 'search'
    | 'bound'
    | 'upload'
    | 'media'
    | 'heading';
  /** The dataset whose grant it needs; null where none is needed. */
  readonly dataset: DatasetName | null;
}

/** Every path that is served; 3005 under both its names, and headings without a path under one of ours (P8). */
export const INTERFACES: ReadonlyMap<string, ServedInterface> = new Map<string, ServedInterface>([
  ['/oauth2/getToken', { code: '1002', kind: 'token', dataset: null }],
  ...DATASETS.map(({ path, interfaceCode, name }): [string, ServedInterface] => [
    path,
    { code: interfaceCode, kind: 'table', dataset: name },
  ]),
  ['/subs/getSubsByCode', { code: '3005', kind: 'subscriber', dataset: 'subscribers' }],
  ['/user/getSubsByCode', { code: '3005', kind: 'subscriber', dataset: 'subscribers' }],
  ['/subs/querySubs', { code: '3007', kind: 'search', dataset: 'subscribers' }],
  ['/user/querySubsByUserCode', { code: '3006', kind: 'bound', dataset: null }],
  ['/media/upload', { code: '2001', kind: 'upload', dataset: null }],
  ['/media/get', { code: '2002', kind: 'media', dataset: null }],
  ...Object.keys(HEADINGS).map((code): [string, ServedInterface] => [
    `/heading/${code}`,
    { code, kind: 'heading', dataset: null },
  ]),
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
  /** The body as it takes part in the signature: a form's does not (P3). */
  readonly body: string;
  /** The file in the form's field `media`, or null. */
  readonly upload: Buffer | null;
}

/** What came with a POST. */
export interface SentBody {
  readonly contentType: string;
  readonly content: Buffer;
}

/** Reads a request: its path below the base, its query, and its body. */
export async function readCall(
  method: string,
  path: string,
  query: URLSearchParams,
  { contentType, content }: SentBody,
): Promise<Call> {
  const names = [...new Set(query.keys())];
  const isForm = contentType.startsWith('multipart/form-data');
  return {
    body: isForm ? '' : content.toString('utf8'),
    upload: isForm ? await readUpload(contentType, content) : null,
    method,
    path,
    served: INTERFACES.get(path),
    parameters: Object.fromEntries(names.map((name) => [name, query.get(name) ?? undefined])),
    repeated: names.filter((name) => query.getAll(name).length > 1),
  };
}

async function readUpload(contentType: string, content: Buffer): Promise<Buffer | null> {
  const headers = { 'content-type': contentType };
  const form = await new Response(new Uint8Array(content), { headers })
    .formData()
    .catch(() => null);
  const media = form?.get('media');
  return media instanceof File ? Buffer.from(await media.arrayBuffer()) : null;
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
