import { randomInt } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Command, InvalidArgumentError, Option } from 'commander';
import bundleProgram from '../support/program.ts';
import { printReport } from './report.ts';
import type { Queue } from './stage.ts';
import { torture } from './torture.ts';

interface Options {
  readonly seed: number;
  readonly minutes: number;
  readonly queue: Queue;
  readonly logs?: string;
}

const program = new Command('torture')
  .description(
    'Three processes of the service keep 40 feeds while platform, Postgres, Redis, network and the ' +
      'processes themselves fail by a random schedule; then it is calm, and every promise is checked.',
  )
  .option(
    '--seed <number>',
    'repeats the schedule of an earlier torture (default: random)',
    readSeed,
  )
  .option('--minutes <number>', 'how long everything goes wrong', readMinutes, 5)
  .addOption(
    new Option('--queue <store>', 'where the queue lives')
      .choices(['redis', 'postgres'])
      .default('redis'),
  )
  .option('--logs <folder>', 'keep what the processes wrote, a file each')
  .addHelpText('after', '\nExit code: 0 nothing was found, 1 something was, 2 wrong usage.')
  .exitOverride(({ exitCode }) => process.exit(exitCode === 0 ? 0 : 2))
  .allowExcessArguments(false)
  .parse();

function readSeed(text: string): number {
  if (!/^\d{1,10}$/.test(text)) throw new InvalidArgumentError('expected a whole number.');
  return Number(text);
}

function readMinutes(text: string): number {
  const minutes = Number(text);
  if (!(minutes > 0 && minutes <= 1440))
    throw new InvalidArgumentError('expected minutes, up to a day.');
  return minutes;
}

async function main({ logs, ...options }: Options): Promise<number> {
  const stopping = new AbortController();
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(name, () => stopping.abort(new Error(`ended by ${name}`)));
  }
  if (logs) await mkdir(logs, { recursive: true });
  const written: Promise<void>[] = [];
  const onLog = (pid: number, text: string) => {
    if (logs) written.push(writeFile(join(logs, `${pid}.log`), text));
  };
  const began = Date.now();
  const say = (line: string) => {
    process.stderr.write(`${Math.round((Date.now() - began) / 1000)}s ${line}\n`);
  };
  // Processes that begin at once spend the torture at work, not on reading sources.
  const removeBundle = await bundleProgram();
  try {
    const report = await torture({ ...options, say, onLog, signal: stopping.signal });
    printReport(report, (line) => process.stdout.write(`${line}\n`));
    return report.findings.length > 0 ? 1 : 0;
  } finally {
    await Promise.all(written);
    await removeBundle();
  }
}

const given = program.opts<Omit<Options, 'seed'> & { seed?: number }>();
const seed = given.seed ?? randomInt(2 ** 31);
process.stderr.write(`seed ${seed}\n`);
try {
  process.exitCode = await main({ ...given, seed });
} catch (error) {
  process.stderr.write(`the torture did not come to its end: ${(error as Error).stack}\n`);
  process.exitCode = 1;
}
