import type { FastifyReply, FastifyRequest } from 'fastify';
import type { ComponentChildren, VNode } from 'preact';
import { renderToString } from 'preact-render-to-string';
import { assetUrl } from './assets.ts';
import { LOCALES, type Locale, MESSAGES, type Messages } from './messages.ts';
import type { Viewer } from './viewer.ts';

/** What the frame of a page needs to know. */
export interface PageOptions {
  readonly title: string;
  /** Whether the page renews itself while it is looked at. */
  readonly live?: boolean;
}

interface FrameProps extends PageOptions {
  readonly locale: Locale;
  readonly viewer: Viewer | null;
  /** The page's own address, to come back to. */
  readonly url: string;
  readonly children?: ComponentChildren;
}

/** Answers a page within the frame that all pages share. */
export function sendPage(
  { locale, viewer, url }: FastifyRequest,
  reply: FastifyReply,
  options: PageOptions,
  content: VNode,
): FastifyReply {
  const frame = (
    <Frame {...options} locale={locale} viewer={viewer} url={url}>
      {content}
    </Frame>
  );
  return reply.type('text/html; charset=utf-8').send(`<!doctype html>\n${renderToString(frame)}`);
}

function Frame({ title, live = false, locale, viewer, url, children }: FrameProps) {
  const words = MESSAGES[locale];
  return (
    <html lang={words.lang}>
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <title>{`${title} · ${words.title}`}</title>
        <link rel="icon" href={assetUrl('icon.svg')} type="image/svg+xml" />
        <link rel="stylesheet" href={assetUrl('style.css')} />
        <link rel="stylesheet" href={assetUrl('parts.css')} />
        <script type="module" src={assetUrl('page.js')} />
      </head>
      <body data-live={live ? '' : undefined}>
        <a class="skip" href="#content">
          {words.skip}
        </a>
        <header>
          <a class="brand" href="/">
            {words.title}
          </a>
          {viewer && <Navigation words={words} url={url} />}
          <div class="person">
            <Languages words={words} locale={locale} url={url} />
            {viewer && <Person words={words} viewer={viewer} />}
          </div>
        </header>
        <main id="content" tabindex={-1}>
          {viewer?.name === null && <p class="hint">{words.noLogIn}</p>}
          {children}
        </main>
      </body>
    </html>
  );
}

function Navigation({ words, url }: { readonly words: Messages; readonly url: string }) {
  const path = url.split('?')[0];
  const { label, ...names } = words.nav;
  const links = [
    ['/', names.overview],
    ['/resync', names.resync],
    ['/rejects', names.rejects],
    ['/queues', names.queues],
  ] as const;
  return (
    <nav aria-label={label}>
      {links.map(([href, name]) => (
        <a href={href} aria-current={href === path ? 'page' : undefined}>
          {name}
        </a>
      ))}
    </nav>
  );
}

const LANGUAGE_NAMES: Readonly<Record<Locale, string>> = { en: 'English', zh: '中文' };

function Languages({
  words,
  locale,
  url,
}: {
  readonly words: Messages;
  readonly locale: Locale;
  readonly url: string;
}) {
  return (
    <form method="post" action="/language" class="languages" aria-label={words.language}>
      <input type="hidden" name="to" value={url} />
      {LOCALES.map((one) => (
        <button
          type="submit"
          name="locale"
          value={one}
          lang={MESSAGES[one].lang}
          aria-pressed={one === locale}
        >
          {LANGUAGE_NAMES[one]}
        </button>
      ))}
    </form>
  );
}

function Person({ words, viewer }: { readonly words: Messages; readonly viewer: Viewer }) {
  if (viewer.name === null) return null;
  return (
    <form method="post" action="/logout" class="log-out">
      <span>{words.signedInAs(viewer.name, viewer.role)}</span>
      <button type="submit">{words.logOut}</button>
    </form>
  );
}
