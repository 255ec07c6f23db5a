import { Readable } from 'node:stream';
import { parse } from 'csv-parse';
import { Kysely, PostgresDialect } from 'kysely';
import pg from 'pg';
import { CATALOGUE } from '../../../src/datasets/catalogue.ts';
import { peakMemory, processorTime, serveTasks } from '../program.ts';
import { ADDRESS_COLUMNS } from '../rows.ts';

/** Tables to load one after another, as most people write it. */
export interface BatchesTask {
  readonly databaseUrl: string;
  readonly tableUrl: string;
  readonly tables: number;
}

/** What was done. */
export interface BatchesResult {
  readonly seconds: number;
  readonly peak: number;
  /** Processor time of the process, in seconds. */
  readonly cpu: number;
}

/** Rows that one statement inserts. */
const BATCH = 1_000;

type Line = Record<string, string>;

const NAMES = new Map(CATALOGUE.addresses.columns.map(({ header, name }) => [header, name]));

serveTasks(async ({ databaseUrl, tableUrl, tables }: BatchesTask): Promise<BatchesResult> => {
  const pool = new pg.Pool({ connectionString: databaseUrl });
  const db = new Kysely<{ address: Line }>({ dialect: new PostgresDialect({ pool }) });
  try {
    const cpuBefore = processorTime();
    const started = performance.now();
    for (let table = 0; table < tables; table += 1) await load(db, tableUrl);
    const seconds = (performance.now() - started) / 1000;
    return { seconds, peak: peakMemory(), cpu: processorTime() - cpuBefore };
  } finally {
    await db.destroy();
  }
});

async function load(db: Kysely<{ address: Line }>, tableUrl: string): Promise<void> {
  const answer = await fetch(tableUrl);
  const lines = Readable.fromWeb(answer.body as never).pipe(
    parse({
      delimiter: '|',
      quote: null,
      columns: (header: string[]) => header.map((name) => NAMES.get(name)!),
    }),
  );
  let batch: Line[] = [];
  for await (const line of lines as AsyncIterable<Line>) {
    batch.push(line);
    if (batch.length < BATCH) continue;
    await upsert(db, batch);
    batch = [];
  }
  if (batch.length > 0) await upsert(db, batch);
}

async function upsert(db: Kysely<{ address: Line }>, batch: readonly Line[]): Promise<void> {
  const content = ADDRESS_COLUMNS.filter((name) => name !== 'org_code' && name !== 'address_code');
  await db
    .insertInto('address')
    .values(batch)
    .onConflict((conflict) =>
      conflict
        .columns(['org_code', 'address_code'])
        .doUpdateSet((eb) =>
          Object.fromEntries(content.map((name) => [name, eb.ref(`excluded.${name}` as never)])),
        ),
    )
    .execute();
}
