import { renderToString } from 'preact-render-to-string';
import { assetUrl } from '../assets.ts';
import type { BoardWords } from './board-words.ts';

/** Files that Bull Board's page loads, by their paths below the page's base. */
export interface BoardFiles {
  readonly styles: readonly string[];
  readonly scripts: readonly string[];
}

/**
 * Reads from Bull Board's own page which files it loads.
 *
 * Its page itself would not do: it has styles inline, asks strangers for fonts and knows one language.
 *
 * @throws Error if none are found, which a new version might cause
 */
export function readBoardFiles(page: string): BoardFiles {
  const all = (form: RegExp) => [...page.matchAll(form)].map(([, path]) => path!);
  const styles = all(/<link\b[^>]*\bhref="(static\/[^"]+\.css)"/g);
  const scripts = all(/<script\b[^>]*\bsrc="(static\/[^"]+\.js)"/g);
  if (styles.length === 0 || scripts.length === 0) {
    throw new Error("Bull Board's page names no files");
  }
  return { styles, scripts };
}

/** What Bull Board's page is made of. */
export interface BoardPageOptions {
  readonly files: BoardFiles;
  /** Where it lives, with a slash at the end. */
  readonly base: string;
  readonly title: string;
  /** Its settings, which the browser reads from the page. */
  readonly config: object;
  readonly lang: string;
  readonly words: BoardWords;
}

/** Writes Bull Board's page. */
export function renderBoardPage(options: BoardPageOptions): string {
  return `<!doctype html>\n${renderToString(<BoardPage {...options} />)}`;
}

function BoardPage({ files, base, title, config, lang, words }: BoardPageOptions) {
  // No text of ours may end the element.
  const settings = JSON.stringify(config).replaceAll('<', '\\u003c');
  return (
    <html lang={lang}>
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <base href={base} />
        <title>{title}</title>
        <link rel="icon" href={assetUrl('icon.svg')} type="image/svg+xml" />
        {files.styles.map((path) => (
          <link rel="stylesheet" href={path} />
        ))}
        {files.scripts.map((path) => (
          <script defer src={path} />
        ))}
      </head>
      <body class="preload">
        {/* Data, which browsers do not run; JSON can not be escaped as markup is. */}
        <script
          id="__UI_CONFIG__"
          type="application/json"
          dangerouslySetInnerHTML={{ __html: settings }}
        />
        <div id="root">
          <p>{words.loading}</p>
        </div>
        <noscript>
          <p>{words.needsScript}</p>
          <a href="/">{words.back}</a>
        </noscript>
      </body>
    </html>
  );
}
