import { type Command, InvalidArgumentError, Option } from 'commander';
import { readSettings } from '../config.ts';
import { reach } from '../core/window.ts';
import { openLogger } from '../logger.ts';
import { startSimulator } from '../simulator/simulator.ts';
import { createWorld } from '../simulator/world.ts';
import { readOrgCodes } from './arguments.ts';
import { listenFailure } from './failure.ts';
import {
  addSimulatorFlags,
  neededSettings,
  type SimulatorFlags,
  simulatorOptions,
} from './simulator-flags.ts';

/** Credentials of the simulator, which guard nothing. */
export const SIMULATOR_APP_ID = 'simulator';
/** Base key of the simulator, which guards nothing. */
export const SIMULATOR_BASE_KEY = '0123456789abcdef0123456789abcdef';

const ORGS: readonly string[] = ['WJ0105', 'NJ0101', 'WX0102'];

/** How many of its newest requests a simulator that runs for long remembers: a few MiB. */
export const KEPT_REQUESTS = 10_000;

interface SimulateOptions extends SimulatorFlags {
  readonly host: string;
  readonly port: number;
  readonly seed: number;
  readonly orgs: readonly string[];
  readonly subscribers: number;
  readonly reading: 'then' | 'now';
  readonly chaos: number;
}

/** Adds `simulate`: a stand-in for the platform, alone. */
export function registerSimulate(program: Command): void {
  const command = program
    .command('simulate')
    .description('run a stand-in for the platform, with made-up data that changes, until Ctrl-C')
    .option('--host <address>', 'address to listen on; anyone may ask it', '127.0.0.1')
    .option('--port <port>', 'port there; 0 for any free one', port, 8090)
    .option('--seed <number>', 'the same number, the same world', whole, 1)
    .addOption(
      new Option('--orgs <codes>', 'organisations, separated by commas')
        .argParser(readOrgCodes)
        .default(ORGS, ORGS.join(',')),
    )
    .option('--subscribers <number>', 'subscribers of each organisation', whole, 1000)
    .addOption(
      new Option('--reading <reading>', 'old windows give rows as they were: then, or are: now')
        .choices(['then', 'now'])
        .default('then'),
    )
    .option(
      '--chaos <rate>',
      'share of all requests that go wrong, from 0 to 1; the seed decides which and how',
      share,
      0,
    );
  addSimulatorFlags(command)
    .addHelpText(
      'after',
      `\nIt prints the settings that reach it. Its newest ${KEPT_REQUESTS} requests are at /control/requests.`,
    )
    .action(simulate);
}

function whole(text: string): number {
  if (!/^\d{1,9}$/.test(text)) throw new InvalidArgumentError('expected a whole number.');
  return Number(text);
}

function port(text: string): number {
  if (/^\d{1,5}$/.test(text) && Number(text) <= 65_535) return Number(text);
  throw new InvalidArgumentError('expected a port from 0 to 65535.');
}

function share(text: string): number {
  const number = Number(text);
  if (/^\d*\.?\d+$/.test(text) && number <= 1) return number;
  throw new InvalidArgumentError('expected a number from 0 to 1.');
}

async function simulate(options: SimulateOptions): Promise<void> {
  const now = Date.now();
  const log = openLogger(readSettings(process.env, ['LOG_LEVEL']).LOG_LEVEL);
  const world = createWorld({
    seed: options.seed,
    orgs: options.orgs.map((code) => ({ code, name: code })),
    bornAt: reach(now) + 3_600_000,
    until: now,
    subscribersPerOrg: options.subscribers,
    changesPerDay: 5_000,
  });
  const simulator = await startSimulator({
    ...simulatorOptions(options),
    world,
    clock: Date.now,
    appId: SIMULATOR_APP_ID,
    baseKey: SIMULATOR_BASE_KEY,
    reading: options.reading,
    host: options.host,
    port: options.port,
    evolve: true,
    keep: KEPT_REQUESTS,
    log: (record) => log.info({ ...record }, 'request'),
  }).catch((error) => {
    throw listenFailure(error, { host: '--host', port: '--port' }) ?? error;
  });
  if (options.chaos > 0) simulator.faults.random({ seed: options.seed, rate: options.chaos });
  process.stdout.write(
    [
      `VCC_BASE_URL=${simulator.url}`,
      `VCC_APP_ID=${SIMULATOR_APP_ID}`,
      `VCC_BASE_KEY=${SIMULATOR_BASE_KEY}`,
      `VCC_ORG_CODES=${options.orgs.join(',')}`,
      ...neededSettings(options),
      '',
    ].join('\n'),
  );
  await new Promise<void>((resolve) => {
    process.once('SIGINT', resolve);
    process.once('SIGTERM', resolve);
  });
  await simulator.close();
}
