import { setMaxListeners } from 'node:events';
import type { Readable } from 'node:stream';
import { Agent } from 'undici';
import { InterruptedError, RetryableError, SyncError } from '../core/errors.ts';
import type { Call, PostBody } from './request.ts';

/** The limits of a connection, in milliseconds. */
export interface TransportSettings {
  readonly baseUrl: string;
  readonly connectTimeout: number;
  /** The longest silence of the platform, before the head of an answer and within its body. */
  readonly idleTimeout: number;
}

/** The head of an answer, whose body is still to be read. */
export interface Reply {
  readonly status: number;
  /** One header's text, or null; several of one name are joined with commas. */
  header(name: string): string | null;
  /** The body as it was sent, compressed perhaps. */
  readonly body: Readable;
  readonly deadline: Deadline;
}

/** Ends one exchange when the caller stops or its time is used up. */
export interface Deadline {
  /** Its reason is a `SyncError`: the caller's own, if it gave one. */
  readonly signal: AbortSignal;
  /** Lets go of the timer and the caller's signals; harmless twice. */
  clear(): void;
}

/** Sends requests and hands back answers, nothing more. */
export interface Transport {
  /**
   * Sends one GET, or a POST where there is a body; redirects are not followed.
   *
   * @param total the longest time for the whole exchange, in milliseconds
   * @throws RetryableError SOURCE_UNAVAILABLE, or DOWNLOAD_TIMEOUT without an answer in time
   * @throws InterruptedError if the signal aborts
   */
  send(call: Pick<Call, 'path' | 'body'>, total: number, signal: AbortSignal): Promise<Reply>;
  /** Aborts when the transport closes. */
  readonly closing: AbortSignal;
  /** Cuts all connections; exchanges under way end with `InterruptedError`. */
  close(): Promise<void>;
}

/** Opens a transport of its own connections, TLS verified. */
export function createTransport(settings: TransportSettings): Transport {
  const { connectTimeout, idleTimeout } = settings;
  const { origin } = new URL(settings.baseUrl);
  const closing = new AbortController();
  // Every exchange under way listens, however many there are.
  setMaxListeners(0, closing.signal);
  const agent = new Agent({
    connect: { timeout: connectTimeout },
    headersTimeout: idleTimeout,
    bodyTimeout: idleTimeout,
  });
  return {
    closing: closing.signal,
    async send({ path, body: posted }, total, signal) {
      const deadline = startDeadline([signal, closing.signal], total);
      try {
        const { statusCode, headers, body } = await agent.request({
          origin,
          path,
          ...(posted ? { method: 'POST', body: posted.open() } : { method: 'GET' }),
          headers: { ...ACCEPTED, ...(posted && bodyHeaders(posted)) },
          signal: deadline.signal,
        });
        // Whoever destroys the body later must not bring the process down.
        body.on('error', () => {});
        return { status: statusCode, header: headerReader(headers), body, deadline };
      } catch (error) {
        deadline.clear();
        throw sendingError(error, deadline.signal, settings);
      }
    },
    async close() {
      closing.abort();
      await agent.destroy();
    },
  };
}

const ACCEPTED = { accept: '*/*', 'accept-encoding': 'gzip, deflate, br' };

function bodyHeaders({ contentType, length }: PostBody): Record<string, string> {
  return { 'content-type': contentType, 'content-length': String(length) };
}

/** Starts the time of one exchange; `total` in milliseconds. */
export function startDeadline(callers: readonly AbortSignal[], total: number): Deadline {
  const controller = new AbortController();
  const interrupt = () => controller.abort(reasonOf(callers));
  const expire = () =>
    controller.abort(
      new RetryableError('DOWNLOAD_TIMEOUT', `the exchange took longer than ${total} ms`),
    );
  const timer = setTimeout(expire, total);
  timer.unref();
  for (const caller of callers) {
    if (caller.aborted) interrupt();
    else caller.addEventListener('abort', interrupt, { once: true });
  }
  return {
    signal: controller.signal,
    clear() {
      clearTimeout(timer);
      for (const caller of callers) caller.removeEventListener('abort', interrupt);
    },
  };
}

function reasonOf(callers: readonly AbortSignal[]): SyncError {
  const reason: unknown = callers.find(({ aborted }) => aborted)?.reason;
  return reason instanceof SyncError ? reason : new InterruptedError();
}

/** The system's or undici's code of a failure, safe to show; its message could quote the answer. */
export function systemCode(error: unknown): string {
  const { code, name } = (error ?? {}) as { code?: unknown; name?: unknown };
  const fact = [code, name].find((text) => typeof text === 'string' && /^\w{1,60}$/.test(text));
  return typeof fact === 'string' ? fact : 'unknown';
}

/** Why an exchange was ended from our side, or null if it was not. */
export function endedBy(signal: AbortSignal): SyncError | null {
  return signal.aborted ? (signal.reason as SyncError) : null;
}

const TLS = /CERT|TLS|SSL|SELF_SIGNED|UNABLE_TO|EPROTO/;

function sendingError(error: unknown, signal: AbortSignal, limits: TransportSettings): SyncError {
  const ended = endedBy(signal);
  if (ended) return ended;
  // Of what is sent: a file that changed meanwhile.
  if (error instanceof SyncError) return error;
  const code = systemCode(error);
  if (code === 'UND_ERR_HEADERS_TIMEOUT') {
    return new RetryableError('DOWNLOAD_TIMEOUT', `no answer within ${limits.idleTimeout} ms`);
  }
  return new RetryableError('SOURCE_UNAVAILABLE', sendingFault(code, limits));
}

function sendingFault(code: string, { connectTimeout }: TransportSettings): string {
  if (TLS.test(code))
    return `the platform's TLS certificate or handshake was not accepted (${code})`;
  if (code === 'UND_ERR_CONNECT_TIMEOUT') return `no connection within ${connectTimeout} ms`;
  if (code === 'UND_ERR_SOCKET') return `the connection was closed before an answer (${code})`;
  if (code.startsWith('HPE_')) return `the answer was no HTTP (${code})`;
  return `the platform could not be reached (${code})`;
}

function headerReader(headers: Readonly<Record<string, string | string[] | undefined>>) {
  return (name: string): string | null => {
    const value = headers[name];
    if (value === undefined) return null;
    return typeof value === 'string' ? value : value.join(',');
  };
}
