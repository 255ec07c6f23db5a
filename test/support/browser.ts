import { existsSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { type Browser, type BrowserContext, chromium, type Page } from 'playwright-core';
import { afterAll, beforeAll, describe } from 'vitest';

/** Where Debian's package puts it. */
const CHROMIUM = '/usr/bin/chromium';

/** Where screenshots are kept; the folder of the run's other reports. */
const SHOTS = join(import.meta.dirname, '../../test-results/screenshots');

/** How long one step may take before it says what it waits for, in milliseconds: less than a test may. */
const STEP_LIMIT = 45_000;

const ARGUMENTS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

/** What a browser is like. */
export interface VisitOptions {
  readonly locale?: 'en-US' | 'zh-CN';
  /** In pixels. */
  readonly width?: number;
  readonly dark?: boolean;
}

/** A person before a browser of their own. */
export interface Visit {
  readonly page: Page;
  readonly context: BrowserContext;
  /** What the browser complained of: errors on the console, exceptions, requests to strangers. */
  readonly complaints: readonly string[];
  close(): Promise<void>;
}

/** A real browser for the tests of a file. */
export interface TestBrowser {
  /** `describe` where there is a browser, else a skipped suite whose name says why. */
  readonly describe: (name: string, body: () => void) => void;
  /** Opens a page of the service at this address, without cookies of others. */
  visit(url: string, options?: VisitOptions): Promise<Visit>;
  /** Keeps what a page looks like, as an artefact of the test. */
  keepShot(page: Page, name: string): Promise<void>;
  /** The same at the width of a screen and of a phone; the page is as wide as before afterwards. */
  keepShots(page: Page, name: string): Promise<void>;
}

/**
 * Gives a test file Debian's Chromium, if it is there.
 *
 * @example
 * const browser = useBrowser();
 * browser.describe('the overview', () => { it('…', async () => {
 *   const { page } = await browser.visit(service.url());
 * }); });
 */
export function useBrowser(): TestBrowser {
  const isThere = existsSync(CHROMIUM);
  let browser: Browser | undefined;
  if (isThere) {
    beforeAll(async () => {
      browser = await chromium.launch({ executablePath: CHROMIUM, args: ARGUMENTS });
    });
    afterAll(() => browser?.close());
  }
  const keepShot = async (page: Page, name: string) => {
    await mkdir(SHOTS, { recursive: true });
    await page.screenshot({ path: join(SHOTS, `${name}.png`), fullPage: true });
  };
  return {
    describe(name, body) {
      const title = isThere ? name : `${name} (skipped: there is no ${CHROMIUM})`;
      describe.skipIf(!isThere)(title, body);
    },
    async visit(url, { locale = 'en-US', width = 1280, dark = false } = {}) {
      const context = await browser!.newContext({
        baseURL: url,
        locale,
        colorScheme: dark ? 'dark' : 'light',
        viewport: { width, height: 900 },
      });
      context.setDefaultTimeout(STEP_LIMIT);
      const page = await context.newPage();
      const complaints: string[] = [];
      page.on('console', (message) => {
        if (message.type() === 'error') complaints.push(message.text());
      });
      page.on('pageerror', (error) => complaints.push(error.message));
      page.on('request', (request) => {
        const { protocol, origin } = new URL(request.url());
        if (protocol.startsWith('http') && origin !== new URL(url).origin) {
          complaints.push(`asked ${origin}`);
        }
      });
      return { page, context, complaints, close: () => context.close() };
    },
    keepShot,
    async keepShots(page, name) {
      const before = page.viewportSize()!;
      for (const width of [1280, 390]) {
        await page.setViewportSize({ ...before, width });
        await keepShot(page, `${name}-${width}`);
      }
      await page.setViewportSize(before);
    },
  };
}
