import type pg from 'pg';
import { keysOf, openRedis } from './redis-service.ts';

/** Everything that Redis holds under a prefix, by key, the key's own name included. */
export async function redisTexts(url: string, prefix: string): Promise<Map<string, string>> {
  const redis = openRedis(url);
  const read: Readonly<Record<string, (key: string) => Promise<unknown>>> = {
    string: (key) => redis.get(key),
    hash: (key) => redis.hgetall(key),
    list: (key) => redis.lrange(key, 0, -1),
    set: (key) => redis.smembers(key),
    zset: (key) => redis.zrange(key, '0', '-1', 'WITHSCORES'),
    stream: (key) => redis.xrange(key, '-', '+'),
    // Gone since its name was read.
    none: async () => null,
  };
  try {
    const texts = new Map<string, string>();
    for (const key of await keysOf(redis, prefix)) {
      const type = await redis.type(key);
      const reader = read[type];
      if (!reader) throw new Error(`Redis key of type ${type}, which is not read here`);
      texts.set(`Redis ${type} ${key}`, `${key} ${JSON.stringify(await reader(key))}`);
    }
    return texts;
  } finally {
    redis.disconnect();
  }
}

/**
 * Every row of every table of a database as text, by table, and the statements that its sessions last
 * sent.
 *
 * @param left columns that are not read (`schema.table.column`), or whole tables (`schema.table`)
 */
export async function postgresTexts(
  pool: pg.Pool,
  left: readonly string[],
): Promise<Map<string, string>> {
  const { rows: tables } = await pool.query<{ schema: string; table: string }>(
    `select table_schema as schema, table_name as table from information_schema.tables
      where table_type = 'BASE TABLE' and table_schema not in ('pg_catalog', 'information_schema')
        and table_schema not like 'pg_temp%' and table_schema not like 'pg_toast%'`,
  );
  const texts = new Map<string, string>();
  for (const { schema, table } of tables) {
    const name = `${schema}.${table}`;
    if (left.includes(name)) continue;
    const columns = left
      .filter((one) => one.startsWith(`${name}.`))
      .map((one) => one.slice(name.length + 1));
    const { rows } = await pool.query<{ text: string }>(
      `select (to_jsonb(t) - $1::text[])::text as text from "${schema}"."${table}" t`,
      [columns],
    );
    texts.set(`table ${name}`, rows.map(({ text }) => text).join('\n'));
  }
  const { rows } = await pool.query<{ text: string }>(
    `select concat_ws(' ', application_name, query) as text from pg_stat_activity
      where datname = current_database()`,
  );
  texts.set('statements of sessions', rows.map(({ text }) => text).join('\n'));
  return texts;
}
