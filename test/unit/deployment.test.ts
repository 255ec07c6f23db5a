import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseEnv } from 'node:util';
import { describe, expect, it } from 'vitest';
import { buildProgram } from '../../src/cli/program.ts';
import { readSettings, SERVICE_SETTINGS, SETTINGS } from '../../src/config.ts';
import { ROLES } from '../../src/service.ts';
import type { Setting } from '../../src/settings.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const read = (path: string) => readFileSync(join(ROOT, path), 'utf8');

const COMPOSE = read('docker-compose.yml');
const DOCKERFILE = read('Dockerfile');

/** Lines of a file without comments. */
const lines = (text: string) => text.split('\n').filter((line) => !/^\s*#/.test(line));

/** Top-level parts of the compose file and its services, by name, each with its own lines. */
function readParts(): ReadonlyMap<string, readonly string[]> {
  const found = new Map<string, string[]>();
  let top = '';
  for (const line of lines(COMPOSE)) {
    const [, indent, name] = /^( {2})?([a-z][\w-]*):/.exec(line) ?? [];
    if (name !== undefined && indent === undefined) top = name;
    // What is indented below a part is the part's own, unless the part is the list of services.
    const isPart = name !== undefined && (indent === undefined || top === 'services');
    const key = isPart ? name : ([...found.keys()].at(-1) ?? '');
    found.set(key, [...(isPart ? [] : (found.get(key) ?? [])), line]);
  }
  return found;
}

const PARTS = readParts();

/** The variables that a part sets, by name. */
function variables(part: string): Record<string, string> {
  const given = PARTS.get(part)!.flatMap((line) => {
    const [, name, value] = /^\s+([A-Z][A-Z0-9_]+): (.+)$/.exec(line) ?? [];
    return name === undefined ? [] : [[name, value!.replace(/^"(.*)"$/, '$1')]];
  });
  return Object.fromEntries(given);
}

/** What the image sets. */
const IMAGE_ENV = Object.fromEntries(
  [...DOCKERFILE.matchAll(/^ENV (.+)$/gm)].flatMap(([, given]) =>
    given!.split(' ').map((pair) => pair.split('=') as [string, string]),
  ),
);

/** Names of variables that belong to others. */
const FOREIGN = /^(POSTGRES_|NODE_ENV$)/;

const OURS = [...PARTS.keys()].filter((name) =>
  PARTS.get(name)!.some((line) => /<<: \*(vcc-sync|production|demo)$/.test(line)),
);

describe('docker-compose.yml', () => {
  it('sets nothing but settings that exist, files for secrets alone', () => {
    const names = [...PARTS.keys()].flatMap((part) => Object.keys(variables(part)));
    expect(names.length).toBeGreaterThan(15);
    const unknown = [...names, ...Object.keys(IMAGE_ENV)].filter((name) => {
      const setting: Setting | undefined = SETTINGS[name as keyof typeof SETTINGS];
      const filed: Setting | undefined =
        SETTINGS[name.replace(/_FILE$/, '') as keyof typeof SETTINGS];
      return !FOREIGN.test(name) && setting === undefined && filed?.secret !== true;
    });
    expect(unknown).toEqual([]);
  });

  it('gives the demo settings that the service takes', () => {
    const settings = readSettings(
      { ...IMAGE_ENV, ...variables('x-demo'), ...variables('demo-web') },
      SERVICE_SETTINGS,
    );
    expect(settings.WEB_USERS.map(({ name, role }) => ({ name, role }))).toEqual([
      { name: 'demo', role: 'operator' },
    ]);
    expect(settings.VCC_ORG_CODES.length).toBeGreaterThan(1);
  });

  it('gives production what it needs besides an .env that names the application', () => {
    const folder = mkdtempSync(join(tmpdir(), 'vcc-sync-secrets-'));
    const secrets: Record<string, string> = {
      'database-url': 'postgres://postgres:x@postgres:5432/vcc',
      'base-key': '0123456789abcdef0123456789abcdef',
      'master-key': '0f'.repeat(32),
      'web-users': variables('demo-web').WEB_USERS!,
    };
    try {
      for (const [name, text] of Object.entries(secrets)) writeFileSync(join(folder, name), text);
      const given = { ...variables('x-production'), ...variables('web') };
      const mounted = Object.entries(given).map(([name, value]) => [
        name,
        value.replace('/run/secrets', folder),
      ]);
      const env = {
        ...parseEnv(read('.env.example')),
        VCC_APP_ID: 'an-app',
        PROBES_LISTEN: 'none',
        WEB_TRUST_PROXY: '192.0.2.1',
      };
      const settings = readSettings(
        { ...IMAGE_ENV, ...env, ...Object.fromEntries(mounted) },
        SERVICE_SETTINGS,
      );
      expect(settings.DATABASE_URL).toBe(secrets['database-url']);
      expect(settings.REDIS_URL).toBe('redis://redis:6379');
      expect(settings.WEB_HOST).toBe('0.0.0.0');
      expect(settings.VCC_MASTER_KEY).not.toBeNull();
      // Whatever .env says, the health check finds the probes, and the pages know the proxy before them.
      expect(settings.PROBES_LISTEN).toEqual({ host: '0.0.0.0', port: 9464 });
      const [, subnet] = /subnet: ([\d./]+)/.exec(COMPOSE)!;
      expect(settings.WEB_TRUST_PROXY).toEqual([subnet]);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it('runs commands, options and roles that there are', async () => {
    const program = await buildProgram();
    const commands = OURS.flatMap((name) =>
      PARTS.get(name)!.flatMap((line) => /^\s+command: \[(.*)\]$/.exec(line)?.[1] ?? []),
    ).map((text) => text.split(', ').map((word) => word.replaceAll('"', '')));
    expect(commands.length).toBe(9);
    for (const [first, ...rest] of commands) {
      const command = program.commands.find((one) => one.name() === first);
      expect(command, first).toBeDefined();
      const options = rest.filter((word) => word.startsWith('--'));
      const known = command!.options.map(({ long }) => long);
      expect(known).toEqual(expect.arrayContaining(options));
      if (first === 'start') expect(ROLES).toContain(rest[1]);
    }
    const roles = commands.filter(([first]) => first === 'start').map((words) => words[2]);
    expect(new Set(roles)).toEqual(new Set(ROLES));
  });

  it('declares every secret that it uses, in a folder that no commit and no image takes in', () => {
    const declared = PARTS.get('secrets')!.flatMap(
      (line) => /^ {2}([\w-]+): \{ file: \.\/secrets\/\1 \}$/.exec(line)?.[1] ?? [],
    );
    const used = lines(COMPOSE).flatMap(
      (line) => /^\s+secrets: \[(.*)\]$/.exec(line)?.[1]?.split(', ') ?? [],
    );
    expect([...new Set(used)].sort()).toEqual([...declared].sort());
    const mounted = [...COMPOSE.matchAll(/\/run\/secrets\/([\w-]+)/g)].map(([, name]) => name!);
    expect([...new Set(mounted)].sort()).toEqual([...declared].sort());
    expect(read('.gitignore').split('\n')).toEqual(expect.arrayContaining(['.env', 'secrets/']));
    expect(lines(read('.dockerignore'))[0]).toBe('*');
    expect(read('.dockerignore')).not.toMatch(/^!(\.env|secrets|\.)$/m);
  });
});

describe('the Dockerfile', () => {
  const stages = DOCKERFILE.split(/^(?=FROM )/m).slice(1);

  it('takes what exists and is let in', () => {
    const allowed = read('.dockerignore')
      .split('\n')
      .flatMap((line) => /^!(.+)$/.exec(line)?.[1] ?? []);
    const sources = [...DOCKERFILE.matchAll(/^COPY (?!--from)(.+) \S+$/gm)].flatMap(([, given]) =>
      given!.split(' '),
    );
    expect(sources.length).toBeGreaterThan(8);
    for (const source of sources) {
      expect(existsSync(join(ROOT, source)), source).toBe(true);
      expect(allowed).toContain(source.split('/')[0]);
    }
  });

  it('brings along what the package says it consists of', () => {
    const { files } = JSON.parse(read('package.json')) as { files: string[] };
    const last = stages.at(-1)!;
    for (const file of files) expect(last).toContain(file.replace('*.psv', 'addresses.psv'));
  });

  it('ends not as root, without what builds, and asks for health where the probes listen', () => {
    const last = stages.at(-1)!;
    expect(/^USER (.+)$/m.exec(last)?.[1]).toBe('node');
    expect(last).not.toMatch(/npm (ci|install|run)/);
    const port = IMAGE_ENV.PROBES_LISTEN!.split(':')[1]!;
    expect(last).toContain(`http://127.0.0.1:${port}/healthz`);
    expect(/^EXPOSE (.+)$/m.exec(last)?.[1]?.split(' ')).toContain(port);
    expect(read('deploy/prometheus/prometheus.yml')).toContain(`port: ${port}\n`);
    const versions = stages.map((stage) => /^FROM node:(\d+)/.exec(stage)?.[1]);
    expect(new Set(versions)).toEqual(new Set(['24']));
  });
});
