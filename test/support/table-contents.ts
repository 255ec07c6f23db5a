import type pg from 'pg';

/** Every table of schema `vcc` with all that it holds, as text: equal if nothing has been written. */
export async function tableContents(pool: pg.Pool): Promise<Record<string, string>> {
  const { rows: tables } = await pool.query<{ name: string }>(
    `select format('%I.%I', schemaname, tablename) as name from pg_tables where schemaname = 'vcc' order by 1`,
  );
  const contents: Record<string, string> = {};
  for (const { name } of tables) {
    const { rows } = await pool.query<{ content: string }>(
      `select coalesce(string_agg(t.ctid::text || ' ' || t::text, e'\\n' order by t::text), '') as content from ${name} t`,
    );
    contents[name] = rows[0]!.content;
  }
  return contents;
}
