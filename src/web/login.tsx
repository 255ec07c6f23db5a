import type { FastifyInstance } from 'fastify';
import { z } from 'zod';
import { type Access, COOKIE, type Denial, LOCALE_COOKIE } from './access.ts';
import { sendPage } from './layout.tsx';
import { isLocale } from './locale.ts';
import { MESSAGES, type Messages } from './messages.ts';

const LOG_IN = z.object({
  name: z.string().max(100),
  password: z.string().max(1000),
  to: z.string().default('/'),
});

const LANGUAGE = z.object({ locale: z.string(), to: z.string().default('/') });

/** Seconds that a chosen language is remembered. */
const YEAR = 365 * 86_400;

/** Adds log-in, log-out and the choice of language. */
export function addLogin(app: FastifyInstance, access: Access): void {
  const config = { isPublic: true };
  app.get<{ Querystring: { to?: string } }>('/login', { config }, (request, reply) => {
    const words = MESSAGES[request.locale];
    if (request.viewer) return reply.redirect(ownPath(request.query.to));
    const form = <LogIn words={words} to={ownPath(request.query.to)} denial={null} />;
    return sendPage(request, reply, { title: words.logIn.title }, form);
  });

  app.post('/login', { config }, async (request, reply) => {
    const { name, password, to } = LOG_IN.parse(request.body);
    const words = MESSAGES[request.locale];
    const viewer = await access.check(request, name, password);
    if (typeof viewer !== 'string') {
      access.remember(reply, viewer);
      return reply.redirect(ownPath(to), 303);
    }
    reply.code(viewer === 'throttled' ? 429 : 401);
    const form = <LogIn words={words} to={ownPath(to)} denial={viewer} />;
    return sendPage(request, reply, { title: words.logIn.title }, form);
  });

  app.post('/logout', { config }, (_request, reply) => {
    access.forget(reply);
    return reply.redirect('/login', 303);
  });

  app.post('/language', { config }, (request, reply) => {
    const { locale, to } = LANGUAGE.parse(request.body);
    if (isLocale(locale)) reply.setCookie(LOCALE_COOKIE, locale, { ...COOKIE, maxAge: YEAR });
    return reply.redirect(ownPath(to), 303);
  });
}

/** Where to go on: a path of ours, never another site's address. */
function ownPath(to: string | undefined): string {
  const base = 'http://own.invalid';
  if (to === undefined || !URL.canParse(to, base)) return '/';
  const url = new URL(to, base);
  // Two slashes would begin with another host.
  return url.origin === base ? `${url.pathname.replace(/^\/+/, '/')}${url.search}` : '/';
}

function LogIn({
  words,
  to,
  denial,
}: {
  readonly words: Messages;
  readonly to: string;
  readonly denial: Denial | null;
}) {
  const { logIn } = words;
  return (
    <form method="post" action="/login" class="card log-in">
      <h1>{logIn.title}</h1>
      {denial && (
        <p class="trouble" role="alert">
          {logIn[denial]}
        </p>
      )}
      <input type="hidden" name="to" value={to} />
      <label>
        {logIn.name}
        <input name="name" autocomplete="username" required autofocus />
      </label>
      <label>
        {logIn.password}
        <input name="password" type="password" autocomplete="current-password" required />
      </label>
      <button type="submit" class="primary">
        {logIn.submit}
      </button>
    </form>
  );
}
