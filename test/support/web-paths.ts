import { buildApp } from '../../src/web/server.ts';
import { WEB_SETTINGS } from './web-settings.ts';

/** A route of the web role, its path as it was declared. */
export interface WebRoute {
  readonly method: string;
  readonly path: string;
}

/** Paths of all GET routes that the web role has, parameters filled in. */
export async function webPaths(): Promise<string[]> {
  const routes = await webRoutes();
  return routes
    .filter(({ method }) => method === 'GET')
    .map(({ path }) => path.replace(/:\w+(\([^)]*\))?/g, '1').replaceAll('*', ''));
}

/** All routes that the web role has; read from the app itself. */
export async function webRoutes(): Promise<WebRoute[]> {
  // Routes are declared without touching what they will ask.
  const app = await buildApp({
    world: {},
    db: {},
    backend: () => null,
    settings: WEB_SETTINGS,
  } as unknown as Parameters<typeof buildApp>[0]);
  try {
    await app.ready();
    return readTree(app.printRoutes({ commonPrefix: false }));
  } finally {
    await app.close();
  }
}

const BRANCH = /^([│ ]*)[└├]── (\S+)(?: \((.+)\))?/;

function readTree(tree: string): WebRoute[] {
  const segments: string[] = [];
  return tree.split('\n').flatMap((line) => {
    const [, lead, segment, methods = ''] = BRANCH.exec(line) ?? [];
    if (lead === undefined || segment === undefined) return [];
    segments.splice(lead.length / 4, Number.POSITIVE_INFINITY, segment);
    const path = segments.join('');
    return methods.split(', ').flatMap((method) => (method === '' ? [] : [{ method, path }]));
  });
}
