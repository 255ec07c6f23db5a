import { join } from 'node:path';
import { firstLine } from '../postgres-programs.ts';
import { ADDRESS_COLUMNS } from '../rows.ts';
import { postgresEnvironment, runShell } from '../shell.ts';
import { filePrefix, writeTable } from '../table-file.ts';
import { allAtOnce, type Contestant } from './contestant.ts';

/** The floor: `COPY` of clean fields from a local file straight into the table with its key. */
export const floor: Contestant = {
  name: 'the floor: COPY',
  owner: 'plain',
  lack: async () => ((await firstLine('psql', ['--version'])) ? null : 'psql is not installed'),
  async load({ databaseUrl, orgCodes, rows, stage: { folder, signal } }) {
    for (const orgCode of orgCodes) {
      await writeTable(folder, { kind: 'clean', rows, orgCode }, signal);
    }
    const prefix = join(folder, filePrefix({ kind: 'clean', rows }));
    const command = `\\copy address (${ADDRESS_COLUMNS.join(', ')}) from pstdin`;
    return allAtOnce(orgCodes, (orgCode) =>
      runShell(
        {
          text: 'psql -X -q -v ON_ERROR_STOP=1 -c "$COPY" <"$FILE"',
          env: { ...postgresEnvironment(databaseUrl), COPY: command, FILE: prefix + orgCode },
        },
        signal,
      ),
    );
  },
};
