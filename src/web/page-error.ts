import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import { FatalError } from '../core/errors.ts';
import { databaseError, isOverTime } from '../store/database-error.ts';
import type { SyncLog } from '../sync/ports.ts';
import { ErrorPage } from './error-page.tsx';
import { sendPage } from './layout.tsx';
import { MESSAGES, type Messages } from './messages.ts';

/** What went wrong, as the pages can say it. */
export type PageFault = Exclude<keyof Messages['errors'], 'back'>;

/** What is wrong with one field of a request. */
export interface FieldError {
  readonly field: string;
  readonly message: string;
}

/** A refusal with a status of HTTP and words for people. */
export class PageError extends Error {
  override readonly name = 'PageError';
  readonly status: number;
  readonly fault: PageFault;
  /** What exactly is wrong, where that can be said; it quotes no data. */
  readonly detail: string | null;
  /** The fields that are wrong, where the request has such. */
  readonly fields: readonly FieldError[];

  constructor(
    status: number,
    fault: PageFault,
    detail: string | null = null,
    fields: readonly FieldError[] = [],
  ) {
    super(detail ?? fault);
    this.status = status;
    this.fault = fault;
    this.detail = detail;
    this.fields = fields;
  }
}

/** Whether somebody looks at a page, and no script asks. */
export function wantsPage({ url, headers }: FastifyRequest): boolean {
  return !url.startsWith('/api/') && (headers.accept ?? '').includes('text/html');
}

/** Answers a failure: a page for people, `application/problem+json` for scripts; never a stack. */
export function sendError(error: unknown, request: FastifyRequest, reply: FastifyReply) {
  const { status, fault, detail, fields } = asPageError(error);
  const { back, [fault]: words } = MESSAGES[request.locale].errors;
  if (wantsPage(request)) {
    const page = ErrorPage({ words, back, detail });
    return sendPage(request, reply.code(status), { title: words }, page);
  }
  return reply
    .code(status)
    .type('application/problem+json')
    .send({
      type: 'about:blank',
      title: MESSAGES.en.errors[fault],
      status,
      ...(detail && { detail }),
      ...(fields.length > 0 && { errors: fields }),
    });
}

/** What of a failure people may be told. */
export function asPageError(error: unknown): PageError {
  if (error instanceof PageError) return error;
  // What a use case refuses, it refuses with words for whoever asked.
  if (error instanceof FatalError && error.code === 'CONFIG') {
    return new PageError(422, 'invalid', error.message);
  }
  if (error instanceof z.ZodError) return new PageError(422, 'invalid', z.prettifyError(error));
  const { statusCode } = error as FastifyError;
  if (statusCode !== undefined && statusCode >= 400 && statusCode < 500) {
    return new PageError(statusCode, statusCode === 404 ? 'notFound' : 'invalid');
  }
  if (isOverTime(error)) return new PageError(503, 'slow');
  // What comes without a code is no failure of the database, but a fault of ours.
  const { code } = databaseError(error);
  const isOurs = code === 'DATABASE_BUSY' && (error as { code?: unknown }).code === undefined;
  return new PageError(503, 'unavailable', isOurs ? 'INTERNAL' : code);
}

/** Lines of a stack that a log line carries. */
const PLACES = 5;

/** Logs a failure that nobody has foreseen: what kind it is and where it was, never what it says. */
export function noteUnexpected(log: SyncLog, error: unknown, request: FastifyRequest): void {
  if (asPageError(error).status < 500) return;
  const { name, stack = '' } = error as Error;
  const at = stack.split('\n').filter((line) => /^\s+at /.test(line));
  const places = at.slice(0, PLACES).map((line) => line.trim());
  const route = request.routeOptions.url ?? null;
  log.error({ route, name, code: databaseError(error).code, places }, 'a page could not be shown');
}
