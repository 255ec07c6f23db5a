import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Command, InvalidArgumentError, Option } from 'commander';
import { buildPrograms } from './build.ts';
import { startCluster } from './cluster.ts';
import { makeEmpty } from './databases.ts';
import { atOnce } from './loads/at-once.ts';
import { BULK_LOADS } from './loads/bulk.ts';
import { catalogue } from './loads/catalogue.ts';
import { memory } from './loads/memory.ts';
import { planner } from './loads/planner.ts';
import { reporting } from './loads/reporting.ts';
import { sweep } from './loads/sweep.ts';
import { windows } from './loads/windows.ts';
import { describeMachine, machineText } from './machine.ts';
import { startProgram } from './program.ts';
import type { Route } from './programs/source.ts';
import { startQueueServer } from './queue-server.ts';
import { failureTable, resultsOf, resultTable, targetTable } from './report.ts';
import { FULL, sizesFor } from './sizes.ts';
import { Figures, type Load, type Stage } from './stage.ts';
import { judgeTargets } from './targets.ts';

// The benchmark; README.md beside it says how to repeat it and what its rows mean.

const LOADS: readonly Load[] = [
  ...BULK_LOADS,
  atOnce,
  windows,
  memory,
  sweep,
  planner,
  catalogue,
  reporting,
];

interface Options {
  readonly only?: readonly string[];
  readonly rounds: number;
  readonly rows: number;
  readonly json?: string;
  readonly list?: boolean;
}

type Stops = (() => Promise<unknown>)[];

function readOptions(): Options {
  return new Command('npm run bench --')
    .description('measure vcc-sync beside other ways to load the same tables')
    .option('--only <loads>', 'these loads, separated by commas; all by default', readLoads)
    .option('--rounds <number>', 'how often each is measured', readNumber(1), 3)
    .option(
      '--rows <number>',
      'rows of the big table; all sizes go with it',
      readNumber(1000),
      FULL,
    )
    .option('--json <file>', 'write the figures as JSON, too')
    .addOption(new Option('--list', 'name the loads and end'))
    .parse()
    .opts<Options>();
}

function readLoads(text: string): string[] {
  const names = text.split(',');
  const unknown = names.filter((name) => LOADS.every((load) => load.name !== name));
  if (unknown.length === 0) return names;
  const known = LOADS.map(({ name }) => name).join(', ');
  throw new InvalidArgumentError(`unknown: ${unknown.join(', ')}; there are ${known}`);
}

function readNumber(least: number): (text: string) => number {
  return (text) => {
    const number = Number(text);
    if (Number.isInteger(number) && number >= least) return number;
    throw new InvalidArgumentError(`expected a whole number from ${least} on`);
  };
}

/** Starts all that loads stand on; what `stops` holds ends it, the last first. */
async function setUp(options: Options, stops: Stops, signal: AbortSignal): Promise<Stage> {
  const folder = await mkdtemp(join(tmpdir(), 'vcc-sync-bench-'));
  stops.push(() => rm(folder, { recursive: true, force: true }));
  const programs = await buildPrograms(folder);
  signal.throwIfAborted();
  const cluster = await startCluster();
  stops.push(() => cluster.stop());
  signal.throwIfAborted();
  const redis = await startQueueServer();
  if (redis) stops.push(() => redis.stop());
  const source = await startProgram<Route, string>({ programs, signal }, 'source');
  stops.push(() => source.stop());
  const started = Date.now();
  const stage: Stage = {
    cluster,
    source,
    redis,
    programs,
    folder,
    sizes: sizesFor(options.rows),
    rounds: options.rounds,
    signal,
    say: (text) => {
      const seconds = Math.round((Date.now() - started) / 1000);
      process.stderr.write(`${String(seconds).padStart(5)} s  ${text}\n`);
    },
  };
  await makeEmpty(stage);
  return stage;
}

async function bench(options: Options, stops: Stops, signal: AbortSignal): Promise<void> {
  const began = new Date();
  const stage = await setUp(options, stops, signal);
  const machine = await describeMachine(stage);
  const { sizes, rounds } = stage;
  const head = `${sizes.rows.toLocaleString('en')} rows, medians of ${rounds} rounds, ${began.toISOString()}`;
  console.log(`${machineText(machine)}\n${head}`);
  const chosen = LOADS.filter(({ name }) => options.only?.includes(name) ?? true);
  const figures = new Figures();
  try {
    for (const load of chosen) await measure(stage, figures, load);
  } finally {
    // What was measured until then is worth having, whatever came in between.
    const targets = judgeTargets(figures.all(), sizes);
    const failures = figures.failures();
    console.log(`\n${targetTable(targets)}`);
    if (failures.length > 0) {
      console.log(`\n${failureTable(failures)}`);
      process.exitCode = 1;
    }
    if (options.json) {
      const results = resultsOf(figures.all());
      const report = { at: began, machine, sizes, rounds, figures: results, targets, failures };
      await writeFile(options.json, `${JSON.stringify(report, null, 2)}\n`);
    }
  }
}

/** Measures one load and prints what came of it; one that fails does not end the others. */
async function measure(stage: Stage, figures: Figures, load: Load): Promise<void> {
  const before = new Set(figures.all().map(({ load: name }) => name));
  try {
    await load.run(stage, figures);
  } catch (error) {
    stage.signal.throwIfAborted();
    figures.fail(load.name, null, error);
    stage.say(`${load.name} FAILED: ${error}`);
  }
  const fresh = resultsOf(figures.all()).filter(({ load: name }) => !before.has(name));
  for (const name of new Set(fresh.map((result) => result.load))) {
    console.log(`\n${name === load.name ? load.about : `${load.about}: ${name}`}`);
    console.log(resultTable(fresh.filter((result) => result.load === name)));
  }
}

async function main(): Promise<void> {
  const options = readOptions();
  if (options.list) {
    for (const { name, about } of LOADS) console.log(`${name.padEnd(12)}${about}`);
    return;
  }
  const stopping = new AbortController();
  const stop = () => stopping.abort();
  process.on('SIGINT', stop);
  process.on('SIGTERM', stop);
  const stops: Stops = [];
  try {
    await bench(options, stops, stopping.signal);
  } catch (error) {
    if (!stopping.signal.aborted) throw error;
    process.exitCode = 130;
  } finally {
    for (const end of stops.reverse()) {
      // One that does not end must not keep the others running.
      await end().catch((error: unknown) => {
        process.stderr.write(`${error}\n`);
        process.exitCode ||= 1;
      });
    }
    process.off('SIGINT', stop);
    process.off('SIGTERM', stop);
  }
}

await main();
