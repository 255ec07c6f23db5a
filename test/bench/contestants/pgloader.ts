import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { firstLine } from '../postgres-programs.ts';
import { ADDRESS_COLUMNS } from '../rows.ts';
import { runShell } from '../shell.ts';
import { type Contestant, tableUrl } from './contestant.ts';

/** pgloader's CSV reader, straight into the table; it can not update, so it loads empty tables only. */
export const pgloader: Contestant = {
  name: 'curl | pgloader',
  owner: 'plain',
  async lack() {
    for (const program of ['pgloader', 'curl']) {
      if (!(await firstLine(program, ['--version']))) return `${program} is not installed`;
    }
    return null;
  },
  async load({ databaseUrl, baseUrl, orgCodes: [orgCode], stage: { folder, signal } }) {
    const script = join(folder, 'pgloader.load');
    await writeFile(script, scriptFor(databaseUrl), { mode: 0o600 });
    try {
      const seconds = await runShell(
        {
          text: 'curl -fsS "$URL" | pgloader --on-error-stop --root-dir "$FOLDER" "$SCRIPT"',
          env: { URL: tableUrl(baseUrl, orgCode!), SCRIPT: script, FOLDER: folder, HOME: folder },
        },
        signal,
      );
      return { seconds };
    } finally {
      await rm(script);
    }
  },
};

function scriptFor(databaseUrl: string): string {
  const url = databaseUrl.replace(/^postgres:/, 'postgresql:');
  const names = ADDRESS_COLUMNS.join(', ');
  return `LOAD CSV FROM stdin WITH ENCODING UTF-8 (${names})
    INTO ${url} TARGET TABLE public.address (${names})
    WITH skip header = 1, fields not enclosed, fields terminated by '|'
    SET client_encoding TO 'utf8';`;
}
