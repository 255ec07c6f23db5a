import { userInfo } from 'node:os';
import pg from 'pg';
import { startEmbeddedPostgres } from '../../src/cli/embedded-postgres.ts';
import { dockerAnswers } from './docker-engine.ts';

/** A server for the tests. */
export interface Service {
  readonly url: string;
  /** Where it came from, for people. */
  readonly origin: string;
  /** Ends it if the tests started it. */
  stop(): Promise<void>;
}

const IMAGE = 'postgres:17-alpine';
const OLDEST = 150_000;

/**
 * Finds a Postgres: `TEST_DATABASE_URL`, else port 5432 of 127.0.0.1, else a container where a Docker
 * engine answers, else an embedded one.
 *
 * @throws Error if `TEST_DATABASE_URL` is set but can not be used, or not even an embedded one starts
 */
export async function findPostgres(): Promise<Service> {
  const given = process.env.TEST_DATABASE_URL;
  if (given) {
    const reason = await unfitness(given);
    if (reason) throw new Error(`TEST_DATABASE_URL can not be used: ${reason}`);
    return { url: given, origin: 'TEST_DATABASE_URL', stop: async () => {} };
  }
  return (await localPostgres()) ?? (await containerPostgres()) ?? (await embeddedPostgres());
}

async function localPostgres(): Promise<Service | undefined> {
  for (const user of new Set(['postgres', systemUser()])) {
    const url = `postgres://${encodeURIComponent(user)}@127.0.0.1:5432/postgres`;
    if (!(await unfitness(url))) return { url, origin: '127.0.0.1:5432', stop: async () => {} };
  }
  return undefined;
}

async function containerPostgres(): Promise<Service | undefined> {
  if (!(await dockerAnswers())) return undefined;
  try {
    const { GenericContainer, Wait } = await import('testcontainers');
    const container = await new GenericContainer(IMAGE)
      .withEnvironment({ POSTGRES_HOST_AUTH_METHOD: 'trust' })
      .withCommand(['postgres', '-c', 'fsync=off', '-c', 'max_connections=200'])
      .withExposedPorts(5432)
      // The image starts it twice, first to set it up.
      .withWaitStrategy(Wait.forLogMessage(/ready to accept connections/, 2))
      .withStartupTimeout(60_000)
      .start();
    return {
      url: `postgres://postgres@${container.getHost()}:${container.getMappedPort(5432)}/postgres`,
      origin: `a container of ${IMAGE}`,
      stop: async () => void (await container.stop()),
    };
  } catch (error) {
    console.warn(`tests: no container of ${IMAGE}: ${error}`);
    return undefined;
  }
}

async function embeddedPostgres(): Promise<Service> {
  const server = await startEmbeddedPostgres();
  return { url: server.url, origin: 'embedded', stop: server.stop };
}

/** Tells why tests can not use a server; undefined if they can. */
async function unfitness(url: string): Promise<string | undefined> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 5_000 });
  client.on('error', () => {});
  try {
    await client.connect();
    const { rows } = await client.query<{ version: number; may: boolean }>(
      `select current_setting('server_version_num')::int as version, rolsuper or rolcreatedb as may
         from pg_roles where rolname = current_user`,
    );
    if (!rows[0]?.may) return 'its user may not create databases';
    if (rows[0].version < OLDEST) return `it is older than Postgres ${OLDEST / 10_000}`;
    return undefined;
  } catch (error) {
    return String(error);
  } finally {
    await client.end().catch(() => {});
  }
}

/** Name of the user whom the system knows us as; empty if it knows none. */
function systemUser(): string {
  try {
    return userInfo().username;
  } catch {
    return '';
  }
}
