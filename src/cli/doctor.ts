import type { Command } from 'commander';
import { run } from './action.ts';
import { readOrgCode } from './arguments.ts';
import { checkDatabase } from './doctor-database.ts';
import { type AskedOrg, checkPlatform, PLATFORM_SETTINGS } from './doctor-platform.ts';
import { checkPostgresQueue, checkRedis } from './doctor-queue.ts';
import { checkSettings, type Environment, settingsIfValid } from './doctor-settings.ts';
import type { Finding } from './finding.ts';
import { type Output, paint, printRows } from './output.ts';
import { stopSignal } from './stopping.ts';

/** Adds `doctor`: checks of all that the service stands on, with advice. */
export function registerDoctor(program: Command): void {
  program
    .command('doctor')
    .description('check settings, database, queue, platform and clocks, and advise')
    .option(
      '--org <code>',
      'also ask the platform for what changed of this organisation: what is granted, how windows are answered',
      readOrgCode,
    )
    .option('--json', 'print a JSON array')
    .addHelpText(
      'after',
      [
        '\n✔ is well, ! is a warning, ✖ keeps the service from working and makes the exit code 1.',
        'It asks the platform for a new session token, which the service then shares. With --org it',
        'downloads some windows of each table, and stores nothing.',
      ].join('\n'),
    )
    .action(
      run([], async ({ out, defer }, { json, org }: { json?: boolean; org?: string }) => {
        const findings: Finding[] = [];
        const about = org === undefined ? null : { orgCode: org, signal: stopSignal(defer) };
        for await (const finding of examine(process.env, about)) {
          findings.push(finding);
          if (!json) printFinding(finding, out);
        }
        const record = (finding: Finding) => ({ ...finding });
        if (json) printRows(findings, { columns: [], record, empty: '' }, { json, out });
        return findings.some(({ result }) => result === 'failed') ? 1 : 0;
      }),
    );
}

/** One check after another; what can not be checked for want of a setting is left out. */
async function* examine(env: Environment, about: AskedOrg | null): AsyncGenerator<Finding> {
  yield* checkSettings(env);
  const databaseUrl = settingsIfValid(env, ['DATABASE_URL'])?.DATABASE_URL ?? null;
  if (databaseUrl !== null) yield* checkDatabase(databaseUrl);
  const queue = settingsIfValid(env, ['REDIS_URL']);
  if (queue?.REDIS_URL) yield* checkRedis(queue.REDIS_URL);
  else if (queue && databaseUrl !== null) yield await checkPostgresQueue(databaseUrl);
  const platform = settingsIfValid(env, PLATFORM_SETTINGS);
  if (platform) yield* checkPlatform(platform, databaseUrl, about);
}

const SIGNS = { ok: '✔', warning: '!', failed: '✖' } as const;
const COLOURS = { ok: 'green', warning: 'yellow', failed: 'red' } as const;

function printFinding({ check, result, message, advice }: Finding, out: Output): void {
  out.line(`${paint(COLOURS[result], SIGNS[result], out)} ${check}: ${message}`);
  if (advice) out.line(`  → ${advice}`);
}
