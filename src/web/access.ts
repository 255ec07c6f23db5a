import { createHmac, randomBytes } from 'node:crypto';
import rateLimit from '@fastify/rate-limit';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { Clock } from '../core/clock.ts';
import { isLoopback } from '../core/loopback.ts';
import type { User } from '../core/user.ts';
import { chooseLocale } from './locale.ts';
import { PageError, wantsPage } from './page-error.ts';
import { costOf, isPassword } from './password.ts';
import { createSessions, SESSION_LENGTH, type Sessions } from './session.ts';
import type { Viewer } from './viewer.ts';

export const SESSION_COOKIE = 'vcc_sync_session';
export const LOCALE_COOKIE = 'vcc_sync_language';

/** Tries at a password that one address has in a minute. */
const TRIES_PER_MINUTE = 10;

/** How long a password that was right is taken for right, for scripts that ask often; milliseconds. */
const REMEMBERED = 60_000;

/** Why somebody is not let in. */
export type Denial = 'wrong' | 'throttled';

/** What decides who may see and do what. */
export interface AccessOptions {
  /** Empty: whoever reaches the address (on loopback only) may do everything. */
  readonly users: readonly User[];
  /** Shared by all processes; sessions are signed with a key derived from it. */
  readonly secret: string;
  readonly clock: Clock;
}

/** The log-in of one application. */
export interface Access {
  /** Checks a name and password, and throttles an address that tries too often. */
  check(request: FastifyRequest, name: string, password: string): Promise<Viewer | Denial>;
  /** Lets the browser stay logged in. */
  remember(reply: FastifyReply, viewer: Viewer): void;
  forget(reply: FastifyReply): void;
}

const ANYONE: Viewer = { name: null, role: 'operator' };

/**
 * Guards every route that is not public: who it is (session cookie, or Basic for scripts), whether the
 * request comes from our own pages, and whether they may write.
 */
export async function guard(
  app: FastifyInstance,
  { users, secret, clock }: AccessOptions,
): Promise<Access> {
  await app.register(rateLimit, { global: false });
  const sessions = createSessions(users, secret);
  const access = createAccess(app, users, sessions, clock);
  app.decorateRequest('viewer', null);
  app.decorateRequest('locale', 'en');
  app.addHook('onRequest', async (request, reply) => {
    request.locale = chooseLocale(
      request.cookies[LOCALE_COOKIE],
      request.headers['accept-language'],
    );
    if (request.routeOptions.config.isSigned) return;
    // A page of a stranger could else read ours through a host name of its own (DNS rebinding).
    if (users.length === 0 && !isMeantForLoopback(request)) {
      return reply.code(421).type('text/plain').send('this address is served on loopback only\n');
    }
    const isWrite = !['GET', 'HEAD'].includes(request.method);
    if (isWrite) refuseForeign(request);
    request.viewer = await identify(request);
    if (request.routeOptions.config.isPublic) return;
    if (request.viewer === null) return refuse(request, reply);
    if (isWrite && request.viewer.role !== 'operator') throw new PageError(403, 'forbidden');
  });

  async function identify(request: FastifyRequest): Promise<Viewer | null> {
    if (users.length === 0) return ANYONE;
    const basic = readBasic(request.headers.authorization);
    if (basic) {
      const viewer = await access.check(request, ...basic);
      if (viewer === 'throttled') throw new PageError(429, 'throttled');
      return typeof viewer === 'string' ? null : viewer;
    }
    return sessions.read(request.cookies[SESSION_COOKIE], clock());
  }
  return access;
}

/** Who a name and password have turned out to be, until when that is remembered (milliseconds). */
interface Checked {
  readonly until: number;
  readonly answer: Promise<Viewer | Denial>;
}

function createAccess(
  app: FastifyInstance,
  users: readonly User[],
  sessions: Sessions,
  clock: Clock,
): Access {
  const tries = app.createRateLimit({ max: TRIES_PER_MINUTE, timeWindow: 60_000 });
  const checked = new Map<string, Checked>();
  const [dearest] = users.toSorted((a, b) => costOf(b.password) - costOf(a.password));
  const key = randomBytes(32);
  const digest = (text: string) => createHmac('sha256', key).update(text).digest('base64');

  async function tryPassword(
    request: FastifyRequest,
    name: string,
    password: string,
  ): Promise<Viewer | Denial> {
    const limit = await tries(request);
    if (!limit.isAllowed && limit.isExceeded) return 'throttled';
    const user = users.find((one) => one.name === name);
    // A name that is not there takes as long as the one that takes longest.
    const { password: hash } = user ?? dearest ?? {};
    const isRight = hash !== undefined && (await isPassword(password, hash));
    return user && isRight ? user : 'wrong';
  }

  return {
    async check(request, name, password) {
      const now = clock();
      const known = digest(`${name}\0${password}`);
      for (const [key, { until }] of checked) if (until <= now) checked.delete(key);
      // Asked for at once by many, or a moment ago: one try, not many.
      const before = checked.get(known);
      if (before) return before.answer;
      const answer = tryPassword(request, name, password);
      checked.set(known, { until: now + REMEMBERED, answer });
      const result = await answer.catch(() => 'wrong' as const);
      if (typeof result === 'string') checked.delete(known);
      return answer;
    },
    remember(reply, { name }) {
      reply.setCookie(SESSION_COOKIE, sessions.open(name ?? '', clock()), {
        ...COOKIE,
        maxAge: SESSION_LENGTH / 1000,
      });
    },
    forget: (reply) => void reply.clearCookie(SESSION_COOKIE, COOKIE),
  };
}

/** Whether a request names this machine, both by itself and by what a proxy tells of it. */
function isMeantForLoopback({ hostname, headers: { host = '' } }: FastifyRequest): boolean {
  return isLoopback(hostname) && isLoopback(host.replace(/:\d*$/, ''));
}

/** `secure: auto`: sent over TLS only where the log-in came over TLS. */
export const COOKIE = { path: '/', httpOnly: true, sameSite: 'strict', secure: 'auto' } as const;

/**
 * Refuses a write that no page of ours has asked for: browsers say where a write comes from. What says
 * nothing is no browser, and is let in only with a password of its own.
 */
function refuseForeign({ headers, protocol }: FastifyRequest): void {
  const { origin, host } = headers;
  const site = headers['sec-fetch-site'];
  const asked = origin !== undefined && URL.canParse(origin) ? new URL(origin) : null;
  const isOurs =
    (site === undefined || site === 'same-origin') &&
    (origin === undefined ? headers.cookie === undefined : asked?.host === host);
  if (!isOurs) throw new PageError(403, 'foreign');
  // Behind a proxy that is not named in WEB_TRUST_PROXY, TLS can not be told from none.
  if (asked && asked.protocol !== `${protocol}:`) throw new PageError(403, 'scheme');
}

function readBasic(header: string | undefined): [name: string, password: string] | null {
  const [, encoded] = /^Basic ([A-Za-z0-9+/=]+)$/i.exec(header ?? '') ?? [];
  if (encoded === undefined) return null;
  const [name = '', ...password] = Buffer.from(encoded, 'base64').toString().split(':');
  return [name, password.join(':')];
}

/** Sends people to the log-in, and tells scripts that they need a password. */
function refuse(request: FastifyRequest, reply: FastifyReply): FastifyReply {
  if (request.method === 'GET' && wantsPage(request)) {
    return reply.redirect(`/login?to=${encodeURIComponent(request.url)}`);
  }
  reply.header('www-authenticate', 'Basic realm="vcc-sync"');
  throw new PageError(401, 'unknown');
}
