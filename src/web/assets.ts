import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import fastifyStatic from '@fastify/static';
import type { FastifyInstance } from 'fastify';

/** Files that pages load; the same depth from src/web and dist/web. */
const FOLDER = fileURLToPath(new URL('../../src/web/assets/', import.meta.url));

const PREFIX = '/assets/';

/** A file of the folder of assets. */
export type AssetName = 'icon.svg' | 'style.css' | 'parts.css' | 'page.js';

const versions = new Map<AssetName, string>();

/** Address of an asset; it changes with its content, so that browsers may keep it. */
export function assetUrl(name: AssetName): string {
  let version = versions.get(name);
  if (version === undefined) {
    const content = readFileSync(`${FOLDER}${name}`);
    version = createHash('sha256').update(content).digest('base64url').slice(0, 8);
    versions.set(name, version);
  }
  return `${PREFIX}${name}?v=${version}`;
}

/** Serves the assets to anyone: the log-in page needs them. */
export async function serveAssets(app: FastifyInstance): Promise<void> {
  await app.register(async (scope) => {
    scope.addHook('onRoute', (route) => {
      route.config = { ...route.config, isPublic: true };
    });
    await scope.register(fastifyStatic, {
      root: FOLDER,
      prefix: PREFIX,
      immutable: true,
      maxAge: '30d',
      // Each is known by name; nothing else is to be found out.
      index: false,
    });
  });
}
