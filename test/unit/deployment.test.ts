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
import { readCompose } from '../support/compose.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const read = (path: string) => readFileSync(join(ROOT, path), 'utf8');

const DOCKERFILE = read('Dockerfile');

/** Lines of a file without comments. */
const lines = (text: string) => text.split('\n').filter((line) => !/^\s*#/.test(line));

const { services, secrets: declared, networks } = readCompose();
const NAMES = Object.keys(services);

/** The services that run our own image. */
const OURS = NAMES.filter((name) => services[name]!.image.startsWith('vcc-sync:'));

/** What the image sets. */
const IMAGE_ENV = Object.fromEntries(
  [...DOCKERFILE.matchAll(/^ENV (.+)$/gm)].flatMap(([, given]) =>
    given!.split(' ').map((pair) => pair.split('=') as [string, string]),
  ),
);

/** Names of variables that belong to others. */
const FOREIGN = /^(POSTGRES_|NODE_ENV$)/;

describe('docker-compose.yml', () => {
  it('sets nothing but settings that exist, files for secrets alone', () => {
    const names = NAMES.flatMap((name) => Object.keys(services[name]!.environment ?? {}));
    expect(new Set(names).size).toBeGreaterThan(15);
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
      { ...IMAGE_ENV, ...services['demo-web']!.environment },
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
      'web-users': services['demo-web']!.environment!.WEB_USERS!,
    };
    try {
      for (const [name, text] of Object.entries(secrets)) writeFileSync(join(folder, name), text);
      const mounted = Object.entries(services.web!.environment!).map(([name, value]) => [
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
      expect(settings.WEB_TRUST_PROXY).toEqual([networks.default.ipam.config[0]!.subnet]);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it('runs commands, options and roles that there are', async () => {
    const program = await buildProgram();
    const commands = OURS.map((name) => services[name]!.command!);
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

  it('builds the image by one service of each profile, so that builds at once do not collide', () => {
    const builders = OURS.filter((name) => services[name]!.build !== undefined);
    const profiles = builders.map((name) => services[name]!.profiles);
    expect(profiles).toEqual([['production'], ['demo']]);
    expect(new Set(OURS.map((name) => services[name]!.image)).size).toBe(1);
  });

  it('waits for services of the same profile, for what is meant to be so of each', () => {
    for (const name of NAMES) {
      const { profiles, depends_on: awaited = {} } = services[name]!;
      for (const [other, { condition }] of Object.entries(awaited)) {
        expect(services[other]?.profiles, `${name} waits for ${other}`).toEqual(profiles);
        const { healthcheck, image } = services[other]!;
        // Ours are asked by the image's own health check.
        const isAsked = healthcheck ? !healthcheck.disable : image.startsWith('vcc-sync:');
        expect(condition, `${name} waits for ${other}`).toBe(
          isAsked ? 'service_healthy' : 'service_completed_successfully',
        );
      }
    }
    const roles = OURS.filter((name) => services[name]!.command![0] === 'start');
    for (const name of roles)
      expect(Object.keys(services[name]!.depends_on!)).toHaveLength(
        name.startsWith('demo') ? 4 : 3,
      );
  });

  it('lets our processes write nowhere, do nothing that a user may not, and grow to a limit', () => {
    for (const name of OURS) {
      expect(services[name], name).toMatchObject({
        read_only: true,
        tmpfs: ['/tmp'],
        cap_drop: ['ALL'],
        security_opt: ['no-new-privileges:true'],
      });
    }
    for (const name of NAMES) {
      const { memory } = services[name]!.deploy.resources.limits;
      expect(memory, name).toMatch(/^\d+[mg]$/);
    }
  });

  it('runs two workers, and one of everything else', () => {
    const several = NAMES.filter((name) => (services[name]!.deploy.replicas ?? 1) !== 1);
    expect(several).toEqual(['worker', 'demo-worker']);
    for (const name of several) expect(services[name]!.deploy.replicas).toBe(2);
  });

  it('declares every secret that it uses, in a folder that no commit and no image takes in', () => {
    const names = Object.keys(declared);
    for (const name of names) expect(declared[name]!.file).toBe(`./secrets/${name}`);
    const used = NAMES.flatMap((name) => services[name]!.secrets ?? []);
    expect([...new Set(used)].sort()).toEqual([...names].sort());
    for (const name of NAMES) {
      const { environment = {}, secrets = [] } = services[name]!;
      const read = Object.values(environment).flatMap(
        (value) => /^\/run\/secrets\/(.+)$/.exec(value)?.[1] ?? [],
      );
      expect(read.sort(), name).toEqual([...secrets].sort());
    }
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
