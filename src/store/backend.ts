import type { PoolClient } from 'pg';

/** What carries a connection on the server: its process id alone may have been given to another. */
export interface Backend {
  readonly pid: number;
  /** To the microsecond, as Postgres writes it in UTC; null where it is not shown. */
  readonly start: string | null;
}

const known = new WeakMap<PoolClient, Backend>();

/** Tells a connection's backend; it is asked for once in the connection's life. */
export async function backendOf(client: PoolClient): Promise<Backend> {
  const asked = known.get(client);
  if (asked) return asked;
  const { rows } = await client.query<Backend>(
    'select pid, backend_start::text as start from pg_stat_activity where pid = pg_backend_pid()',
  );
  const backend = rows[0]!;
  known.set(client, backend);
  return backend;
}
