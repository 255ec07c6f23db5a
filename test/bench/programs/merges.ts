import type pg from 'pg';
import type { PoolClient } from 'pg';
import { request } from 'undici';
import { MINUTE } from '../../../src/core/china-time.ts';
import type { Header } from '../../../src/core/table/header.ts';
import type { Row } from '../../../src/core/table/row.ts';
import { readTable } from '../../../src/core/table/table-reader.ts';
import { addresses } from '../../../src/datasets/addresses.ts';
import { mergeRows, PLAN_FOR_FEW, planFor } from '../../../src/store/load-window.ts';
import { openPool, RUN_CONNECTIONS, setPipeline } from '../../../src/store/pool.ts';
import { sentRows } from '../../../src/store/row-source.ts';
import { stageHeld, stageRows } from '../../../src/store/stage-rows.ts';
import { FEW_ROWS, prepareStaging } from '../../../src/store/staging.ts';
import { tableOptions } from '../../support/table-options.ts';
import { FRESH_STAGING } from '../fresh-staging.ts';
import { serveTasks } from '../program.ts';
import { ORG } from '../rows.ts';

/** Windows whose rows are to be staged, merged and committed, and nothing else. */
export interface MergesTask {
  readonly databaseUrl: string;
  readonly tableUrl: string;
  readonly windows: number;
  /** Where the first window begins; each is a minute long. */
  readonly from: number;
  /** Whether each window makes its staging table anew, in place of the connection's own. */
  readonly freshStaging: boolean;
}

interface Window {
  readonly header: Header;
  readonly rows: readonly Row[];
}

let kept: { readonly url: string; readonly pool: pg.Pool; readonly client: PoolClient } | null =
  null;

/** One connection for all tasks on a database, set as the service's own. */
async function clientFor(url: string): Promise<PoolClient> {
  if (kept?.url === url) return kept.client;
  kept?.client.release();
  await kept?.pool.end();
  const pool = openPool(url, { max: 1, name: 'bench', ...RUN_CONNECTIONS });
  const client = await pool.connect();
  await prepareStaging(client);
  setPipeline(client, true);
  kept = { url, pool, client };
  return client;
}

serveTasks(async (task: MergesTask): Promise<number> => {
  const windows: Window[] = [];
  for (let index = 0; index < task.windows; index += 1) windows.push(await fetchWindow(task));
  const client = await clientFor(task.databaseUrl);
  const started = performance.now();
  for (const [index, window] of windows.entries()) {
    await merge(client, task, window, task.from + index * MINUTE);
  }
  return (performance.now() - started) / 1000;
});

async function fetchWindow({ tableUrl }: MergesTask): Promise<Window> {
  const { body } = await request(tableUrl);
  const { header, batches } = await readTable(body, tableOptions(addresses, ORG));
  const rows: Row[] = [];
  for await (const batch of batches) rows.push(...batch.rows);
  return { header, rows };
}

async function* atOnce(rows: readonly Row[]): AsyncGenerator<readonly Row[]> {
  yield rows;
}

async function merge(
  client: PoolClient,
  { freshStaging }: MergesTask,
  { header, rows }: Window,
  from: number,
): Promise<void> {
  // What follows need not wait for them: it is refused where they fail.
  const begun: Promise<unknown>[] = [client.query(`begin; ${PLAN_FOR_FEW}`)];
  if (freshStaging) begun.push(client.query(FRESH_STAGING));
  // A COPY must have the connection to itself.
  if (rows.length > FEW_ROWS) await Promise.all(begun);
  const { held, ascending } = await stageRows(client, addresses, header, atOnce(rows));
  // The table that is made anew holds few rows too.
  const isStaged = held === null || freshStaging;
  if (held && isStaged) begun.push(stageHeld(client, addresses, header, held));
  await planFor(client, addresses, rows.length);
  const plan = {
    runId: from,
    rows: rows.length,
    ascending,
    orgCode: ORG,
    extractAt: null,
    from,
    syncedThrough: from + MINUTE,
    force: false,
  };
  const source = isStaged ? undefined : sentRows(addresses, header, rows);
  await mergeRows(client, addresses, header, plan, source);
  await Promise.all([...begun, client.query('commit')]);
}
