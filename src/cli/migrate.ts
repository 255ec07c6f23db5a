import type { Command } from 'commander';
import { DATABASE_SETTINGS } from '../config.ts';
import { assertSchema, migrate } from '../store/migrate.ts';
import type { ReaderRoles } from '../store/readers.ts';
import { noteSettings } from '../store/service-settings.ts';
import { run } from './action.ts';

/** Adds `migrate`: brings the schema up to date. */
export function registerMigrate(program: Command): void {
  program
    .command('migrate')
    .description("create the database's tables, or bring them up to date; twice is harmless")
    .action(
      run(DATABASE_SETTINGS, async ({ settings, out, openDatabase }) => {
        const db = await openDatabase({ schema: false });
        const { applied, readers } = await migrate(settings.DATABASE_URL).catch(async (error) => {
          // A database of a newer release is what the migrator can not explain well.
          await assertNotNewer(() => assertSchema(db));
          throw error;
        });
        for (const name of applied) out.line(`applied ${name}`);
        if (applied.length === 0) out.line('the schema is up to date');
        await noteSettings(db, { every: settings.SYNC_EVERY, settle: settings.SYNC_SETTLE });
        for (const line of missingReaders(readers)) out.line(line);
        return 0;
      }),
    );
}

/** Says what to run where a role for readers is missing. */
export function missingReaders({ missing, user }: ReaderRoles): string[] {
  if (missing.length === 0) return [];
  return [
    `nobody else can read schema reporting yet: ${user} may not create roles. As a superuser, or a role with CREATEROLE, run`,
    ...missing.map((role) => `  create role ${role} nologin;`),
    'then vcc-sync migrate again, which lets them read',
  ];
}

async function assertNotNewer(check: () => Promise<void>): Promise<void> {
  try {
    await check();
  } catch (error) {
    if (error instanceof Error && error.message.includes('newer than this release')) throw error;
  }
}
