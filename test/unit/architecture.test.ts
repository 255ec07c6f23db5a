import { readdirSync, readFileSync } from 'node:fs';
import { basename, dirname, join, relative, sep } from 'node:path';
import { describe, expect, it } from 'vitest';

const SRC = join(import.meta.dirname, '../../src');

interface Source {
  /** Path below src, with slashes. */
  readonly path: string;
  readonly text: string;
  /** Paths below src of what it imports of ours. */
  readonly imports: readonly string[];
}

const IMPORT = /(?:\bfrom\s*|\bimport\s*\(?\s*)(['"])(\.[^'"]*)\1/g;

const SOURCES: readonly Source[] = readdirSync(SRC, { recursive: true, encoding: 'utf8' })
  .filter((path) => /\.tsx?$/.test(path))
  .map((path) => {
    const text = readFileSync(join(SRC, path), 'utf8');
    const imports = [...text.matchAll(IMPORT)].map(([, , target]) =>
      slashed(relative(SRC, join(SRC, dirname(path), target!))),
    );
    return { path: slashed(path), text, imports };
  });

function slashed(path: string): string {
  return path.split(sep).join('/');
}

/** The folder of a path below src, or the file itself where it lies in src. */
const part = (path: string) => path.split('/')[0]!;

/** What each folder may import, besides itself (design section 4): folders, or single files. */
const MAY_IMPORT: Readonly<Record<string, readonly string[] | 'everything'>> = {
  core: [],
  datasets: ['core'],
  sync: ['core', 'datasets'],
  vcc: ['sync/ports.ts', 'core', 'datasets'],
  store: ['sync/ports.ts', 'core', 'datasets'],
  queue: ['sync/ports.ts', 'core', 'datasets'],
  simulator: ['core', 'datasets'],
  web: ['sync', 'store', 'queue', 'core', 'datasets'],
  'setting-forms.ts': ['core'],
  'settings.ts': ['setting-forms.ts'],
  'config.ts': ['settings.ts', 'core'],
  'logger.ts': ['config.ts'],
  'world.ts': 'everything',
  'service.ts': 'everything',
  cli: 'everything',
};

function mayImport(from: string, to: string): boolean {
  const allowed = MAY_IMPORT[part(from)];
  if (allowed === 'everything' || part(from) === part(to)) return true;
  return allowed?.some((one) => one === to || one === part(to)) ?? false;
}

/** The files that break a rule, each with how it does. */
function breaches(rule: (source: Source) => readonly string[]): string[] {
  return SOURCES.flatMap((source) => rule(source).map((how) => `src/${source.path} ${how}`));
}

describe('the folders of src (design section 4)', () => {
  it('are all named in the design', () => {
    expect(SOURCES.length).toBeGreaterThan(50);
    expect(
      breaches(({ path }) => (part(path) in MAY_IMPORT ? [] : ['lies in no known folder'])),
    ).toEqual([]);
  });

  it('import only what the design allows', () => {
    const rule = ({ path, imports }: Source) =>
      imports.filter((target) => !mayImport(path, target)).map((target) => `imports ${target}`);
    expect(breaches(rule)).toEqual([]);
  });

  it('leave settings to what wires and to the log', () => {
    const rule = ({ path, imports }: Source) =>
      imports.includes('config.ts') &&
      !['world.ts', 'service.ts', 'cli', 'logger.ts'].includes(part(path))
        ? ['imports config.ts']
        : [];
    expect(breaches(rule)).toEqual([]);
  });

  it('leave the environment to config.ts and the command line', () => {
    const rule = ({ path, text }: Source) =>
      /\bprocess\s*\.\s*env\b|\benv\b[^;]*from 'node:process'/.test(text) &&
      !['config.ts', 'cli'].includes(part(path))
        ? ['reads process.env']
        : [];
    expect(breaches(rule)).toEqual([]);
  });

  it('keep core free of IO, clock and randomness', () => {
    const impure = [
      /'node:(fs|net|http|https|dns|child_process|timers|worker_threads|process)/,
      /\bDate\.now\(|\bnew Date\(\)|\bperformance\.now\(/,
      /\bMath\.random\(|\brandom(Bytes|Int|UUID)\(/,
      /\bsetTimeout\(|\bsetInterval\(|\bfetch\(|\bconsole\.|\bprocess\./,
    ];
    const rule = ({ path, text }: Source) =>
      ['core', 'datasets'].includes(part(path))
        ? impure.filter((form) => form.test(text)).map((form) => `matches ${form}`)
        : [];
    expect(breaches(rule)).toEqual([]);
  });
});

describe('the files of src', () => {
  it('are not buckets', () => {
    const bucket = /^(utils?|helpers?|commons?|types?)\b/;
    expect(breaches(({ path }) => (bucket.test(basename(path)) ? ['is a bucket'] : []))).toEqual(
      [],
    );
  });

  it('are nouns in kebab-case', () => {
    const form = /^[a-z0-9]+(-[a-z0-9]+)*(\.d)?\.tsx?$/;
    expect(
      breaches(({ path }) => (form.test(basename(path)) ? [] : ['is not in kebab-case'])),
    ).toEqual([]);
  });

  it('have at most 300 lines', () => {
    const rule = ({ path, text }: Source) => {
      const lines = text.split('\n').length - 1;
      return path !== 'store/database.ts' && lines > 300 ? [`has ${lines} lines`] : [];
    };
    expect(breaches(rule)).toEqual([]);
  });
});

describe('the reading of imports', () => {
  const seen = (code: string) => [...code.matchAll(IMPORT)].map(([, , target]) => target);

  it('finds every form of import', () => {
    expect(seen("import { a } from './a.ts';")).toEqual(['./a.ts']);
    expect(seen("import type {\n  A,\n} from '../a.ts';")).toEqual(['../a.ts']);
    expect(seen("export * from './a.ts';")).toEqual(['./a.ts']);
    expect(seen("import './a.ts';")).toEqual(['./a.ts']);
    expect(seen("const a = await import('./a.ts');")).toEqual(['./a.ts']);
    expect(seen("import pg from 'pg';")).toEqual([]);
  });

  it('tells what is allowed from what is not', () => {
    expect(mayImport('vcc/client.ts', 'sync/ports.ts')).toBe(true);
    expect(mayImport('vcc/client.ts', 'sync/plan.ts')).toBe(false);
    expect(mayImport('store/runs.ts', 'vcc/client.ts')).toBe(false);
    expect(mayImport('core/work.ts', 'datasets/meters.ts')).toBe(false);
    expect(mayImport('simulator/call.ts', 'sync/ports.ts')).toBe(false);
    expect(mayImport('cli/main.ts', 'vcc/client.ts')).toBe(true);
  });
});
