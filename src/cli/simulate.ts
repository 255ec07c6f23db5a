import { type Command, InvalidArgumentError, Option } from 'commander';
import { readSettings } from '../config.ts';
import { reach } from '../core/window.ts';
import { openLogger } from '../logger.ts';
import { startSimulator } from '../simulator/simulator.ts';
import { createWorld } from '../simulator/world.ts';
import { readOrgCode } from './arguments.ts';
import { portFailure } from './failure.ts';

/** Credentials of the simulator, which guard nothing. */
export const SIMULATOR_APP_ID = 'simulator';
/** Base key of the simulator, which guards nothing. */
export const SIMULATOR_BASE_KEY = '0123456789abcdef0123456789abcdef';

const ORGS: readonly string[] = ['WJ0105', 'NJ0101', 'WX0102'];

interface SimulateOptions {
  readonly port: number;
  readonly seed: number;
  readonly orgs: readonly string[];
  readonly subscribers: number;
  readonly reading: 'then' | 'now';
  readonly chaos: number;
}

/** Adds `simulate`: a stand-in for the platform, alone. */
export function registerSimulate(program: Command): void {
  program
    .command('simulate')
    .description('run a stand-in for the platform, with made-up data that changes, until Ctrl-C')
    .option('--port <port>', 'port on 127.0.0.1; 0 for any free one', port, 8090)
    .option('--seed <number>', 'the same number, the same world', whole, 1)
    .addOption(
      new Option('--orgs <codes>', 'organisations, separated by commas')
        .argParser(orgCodes)
        .default(ORGS, ORGS.join(',')),
    )
    .option('--subscribers <number>', 'subscribers of each organisation', whole, 1000)
    .option(
      '--reading <reading>',
      'old windows give rows as they were: then, or are: now',
      reading,
      'then',
    )
    .option(
      '--chaos <rate>',
      'share of all requests that go wrong, from 0 to 1; the seed decides which and how',
      share,
      0,
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

function orgCodes(text: string): readonly string[] {
  return [...new Set(text.split(',').map((code) => readOrgCode(code.trim())))];
}

function share(text: string): number {
  const number = Number(text);
  if (/^\d*\.?\d+$/.test(text) && number <= 1) return number;
  throw new InvalidArgumentError('expected a number from 0 to 1.');
}

function reading(text: string): string {
  if (text !== 'then' && text !== 'now') throw new InvalidArgumentError('expected then or now.');
  return text;
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
    world,
    clock: Date.now,
    appId: SIMULATOR_APP_ID,
    baseKey: SIMULATOR_BASE_KEY,
    reading: options.reading,
    port: options.port,
    evolve: true,
    log: (record) => log.info({ ...record }, 'request'),
  }).catch((error) => {
    throw portFailure(error, '--port') ?? error;
  });
  if (options.chaos > 0) simulator.faults.random({ seed: options.seed, rate: options.chaos });
  process.stdout.write(
    [
      `VCC_BASE_URL=${simulator.url}`,
      `VCC_APP_ID=${SIMULATOR_APP_ID}`,
      `VCC_BASE_KEY=${SIMULATOR_BASE_KEY}`,
      `VCC_ORG_CODES=${options.orgs.join(',')}`,
      '',
    ].join('\n'),
  );
  await new Promise<void>((resolve) => {
    process.once('SIGINT', resolve);
    process.once('SIGTERM', resolve);
  });
  await simulator.close();
}
