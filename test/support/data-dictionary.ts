import type pg from 'pg';

type Queryable = Pick<pg.Pool, 'query'>;

/** Where the repository keeps the data dictionary. */
export const DICTIONARY_FILE = new URL('../../migrations/data-dictionary.md', import.meta.url);

const HEAD = `# Data dictionary

What readers find in schema \`reporting\`: a contract, added to and never changed. Made from the database's own comments by \`npm run docs\`; a test fails when it is stale. How to use it: README, section "Reports".
`;

/** One column of a view. */
export interface ViewColumn {
  readonly view: string;
  readonly about: string | null;
  readonly name: string;
  readonly type: string;
  readonly comment: string | null;
}

/** The columns of all views in schema `reporting`, in the order of views and columns. */
export async function listViewColumns(db: Queryable): Promise<ViewColumn[]> {
  const { rows } = await db.query<ViewColumn>(
    `select c.relname as view, obj_description(c.oid, 'pg_class') as about, a.attname as name,
        format_type(a.atttypid, a.atttypmod) as type, col_description(c.oid, a.attnum) as comment
      from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
      where c.relnamespace = 'reporting'::regnamespace and c.relkind in ('v', 'm', 'r')
      order by c.relname collate "C", a.attnum`,
  );
  return rows;
}

/** Writes the data dictionary from a migrated database. */
export async function writeDictionary(db: Queryable): Promise<string> {
  const columns = await listViewColumns(db);
  const views = [...new Set(columns.map(({ view }) => view))];
  const sections = views.map((view) => {
    const own = columns.filter((column) => column.view === view);
    const lines = own.map(({ name, type, comment }) => `| \`${name}\` | ${type} | ${comment} |`);
    return `\n## ${view}\n\n${own[0]!.about}\n\n| column | type | what |\n| --- | --- | --- |\n${lines.join('\n')}\n`;
  });
  return HEAD + sections.join('') + (await codeSection(db));
}

async function codeSection(db: Queryable): Promise<string> {
  const { rows } = await db.query<Record<'column' | 'code' | 'zh' | 'en', string>>(
    `select dataset || '.' || column_name as column, code, zh, en from reporting.code
      order by dataset, column_name, code`,
  );
  const lines = rows.map(({ column, code, zh, en }) => `| ${column} | ${code} | ${zh} | ${en} |`);
  return `\n## Code lists\n\n| column | code | 中文 | English |\n| --- | --- | --- | --- |\n${lines.join('\n')}\n`;
}
