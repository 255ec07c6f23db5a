import { runProgram } from '../program.ts';
import type { BatchesResult, BatchesTask } from '../programs/batches.ts';
import { type Contestant, tableUrl } from './contestant.ts';

/** What most people write: csv-parse, then `insert … on conflict` of 1,000 rows through Kysely. */
export const batches: Contestant = {
  name: 'Kysely batches',
  owner: 'plain',
  lack: async () => null,
  load: ({ databaseUrl, baseUrl, orgCodes: [orgCode], stage }) =>
    runProgram<BatchesTask, BatchesResult>(stage, 'batches', {
      databaseUrl,
      tableUrl: tableUrl(baseUrl, orgCode!),
      tables: 1,
    }),
};
