import { finished } from 'node:stream/promises';
import pg from 'pg';
import { from as copyFrom } from 'pg-copy-streams';
import { Agent, request } from 'undici';
import { MINUTE } from '../../../src/core/china-time.ts';
import { serveTasks } from '../program.ts';
import { ADDRESS_COLUMNS } from '../rows.ts';

/** Windows of one feed to load one after another, each with a temporary table of its own. */
export interface TemporaryTableTask {
  readonly databaseUrl: string;
  readonly tableUrl: string;
  readonly windows: number;
  /** Where the first window begins; each is a minute long. */
  readonly from: number;
  /** Whether each is recorded as the service does: a run with its receipt, and coverage. */
  readonly recorded: boolean;
}

const names = ADDRESS_COLUMNS.join(', ');
const content = ADDRESS_COLUMNS.filter((name) => name !== 'org_code' && name !== 'address_code');
const listed = (alias: string) => content.map((name) => `${alias}.${name}`).join(', ');
const MATCH = 't.org_code = s.org_code and t.address_code = s.address_code';
const DIFFERS = `(${listed('t')}) is distinct from (${listed('s')})`;

const CREATE = `create temp table staged (${ADDRESS_COLUMNS.map((name) => `${name} text${content.includes(name) ? '' : ' collate "C"'}`).join(', ')}) on commit drop`;
const COPY = `copy staged (${names}) from stdin with (delimiter '|', null '')`;
const DEDUPLICATE = `delete from staged a using staged b
  where a.org_code = b.org_code and a.address_code = b.address_code and a.ctid < b.ctid`;
const UPDATE = `update vcc.address t set ${content.map((name) => `${name} = s.${name}`).join(', ')},
    changed_at = statement_timestamp(), run_id = $2, absent_since = null, synced_through = $1
  from staged s where ${MATCH} and ${DIFFERS} and t.synced_through <= $1`;
const ADVANCE = `update vcc.address t set synced_through = $1, absent_since = null
  from staged s where ${MATCH} and not (${DIFFERS}) and t.synced_through < $1`;
const INSERT = `insert into vcc.address (${names}, first_seen_at, changed_at, synced_through, run_id)
  select ${names}, statement_timestamp(), statement_timestamp(), $1, $2 from staged s
  where not exists (select from vcc.address t where ${MATCH})`;

const START = `insert into vcc.run (feed_id, org_code, dataset, trigger, window_from, window_to,
    requested_from, requested_to, backend_pid, worker)
  select id, org_code, dataset, 'schedule', $1, $2, $1, $2, pg_backend_pid(), 'bench' from vcc.feed
  returning id`;
const FINISH = `update vcc.run set status = 'done', finished_at = clock_timestamp(), http_status = 200,
    bytes = $2, lines = $3, accepted = $3, rejected = 0, inserted = $4, updated = $5, unchanged = $6,
    stale = 0, duplicate = $7, flagged = 0 where id = $1`;
const COVER = `update vcc.feed set next_due_at = now() + interval '15 minutes',
    coverage = coverage + tstzmultirange(tstzrange($1, $2))`;

const agent = new Agent();
let kept: { readonly url: string; readonly client: pg.Client } | null = null;

/** One connection for all tasks on a database. */
async function clientFor(url: string): Promise<pg.Client> {
  if (kept?.url === url) return kept.client;
  await kept?.client.end();
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  kept = { url, client };
  return client;
}

serveTasks(async (task: TemporaryTableTask): Promise<number> => {
  const started = performance.now();
  const client = await clientFor(task.databaseUrl);
  for (let index = 0; index < task.windows; index += 1) {
    const from = new Date(task.from + index * MINUTE);
    await loadWindow(client, task, [from, new Date(from.getTime() + MINUTE)]);
  }
  return (performance.now() - started) / 1000;
});

async function loadWindow(
  client: pg.Client,
  { tableUrl, recorded }: TemporaryTableTask,
  [from, to]: readonly [Date, Date],
): Promise<void> {
  // Seen by all at once, so in a transaction of its own.
  const run = recorded ? (await client.query<{ id: number }>(START, [from, to])).rows[0]!.id : 0;
  const { body } = await request(tableUrl, { dispatcher: agent });
  const table = await body.text();
  const lines = table.slice(table.indexOf('\n') + 1);
  await client.query('begin');
  // Small tables: a nested loop with the index is right, as the service tells the planner too.
  await client.query('set local random_page_cost = 1.1');
  await client.query(CREATE);
  const copy = client.query(copyFrom(COPY));
  copy.end(lines);
  await finished(copy);
  const count = async (text: string, values: readonly unknown[]) =>
    (await client.query(text, [...values])).rowCount ?? 0;
  const duplicate = await count(DEDUPLICATE, []);
  const updated = await count(UPDATE, [to, run]);
  const unchanged = await count(ADVANCE, [to]);
  const inserted = await count(INSERT, [to, run]);
  if (recorded) {
    const all = copy.rowCount;
    const receipt = [table.length, all, inserted, updated, unchanged, duplicate];
    await client.query(FINISH, [run, ...receipt]);
    await client.query(COVER, [from, to]);
  }
  await client.query('commit');
}
