import type pg from 'pg';

/** Runs are never this long: databases of older ones were left by a run that was killed. */
const STALE_MS = 3 * 3_600_000;

/** The URL of another database of the same server. */
export function databaseUrl(serverUrl: string, name: string): string {
  const url = new URL(serverUrl);
  url.pathname = `/${name}`;
  return url.href;
}

/** All databases whose name begins with a run's prefix. */
export async function databasesOf(admin: pg.Client, runPrefix: string): Promise<string[]> {
  const { rows } = await admin.query<{ datname: string }>(
    'select datname from pg_database where starts_with(datname, $1) order by datname',
    [runPrefix],
  );
  return rows.map(({ datname }) => datname);
}

/** Drops databases that runs killed some hours ago left behind; their names carry the time. */
export async function dropStaleDatabases(admin: pg.Client): Promise<void> {
  const oldest = new Date(Date.now() - STALE_MS).toISOString().replace(/\D/g, '').slice(0, 14);
  for (const name of await databasesOf(admin, 'vcc_test_')) {
    const time = /^vcc_test_(\d{14})_/.exec(name)?.[1];
    if (!time || time >= oldest) continue;
    await admin.query(`drop database if exists "${name}" with (force)`).catch((error: unknown) => {
      // Another run may drop it at the same time.
      console.warn(`tests: ${name} is left: ${error}`);
    });
  }
}
