import { availableParallelism, cpus, totalmem, type } from 'node:os';
import { firstLine } from './postgres-programs.ts';
import type { Stage } from './stage.ts';

/** Where and with what the bench was run. */
export interface Machine {
  readonly system: string;
  readonly processor: string;
  readonly cores: number;
  readonly memoryGb: number;
  /** Program to version; those that are not installed are left out. */
  readonly versions: Readonly<Record<string, string>>;
  /** Of Postgres. */
  readonly settings: Readonly<Record<string, string>>;
}

/** Describes this machine, its programs and the bench's own Postgres. */
export async function describeMachine({ cluster, redis }: Stage): Promise<Machine> {
  const versions: Record<string, string> = {
    node: process.versions.node,
    postgres: cluster.version,
  };
  if (redis) versions.redis = redis.version;
  for (const program of ['psql', 'curl', 'pgloader']) {
    const version = await firstLine(program, ['--version']);
    const number = /\d+\.\d+[\w.~-]*/.exec(version ?? '')?.[0];
    if (number) versions[program] = number;
  }
  return {
    system: `${type()} ${process.arch}`,
    processor: cpus()[0]?.model.trim() ?? 'unknown',
    cores: availableParallelism(),
    memoryGb: Math.round(totalmem() / 2 ** 30),
    versions,
    settings: cluster.settings,
  };
}

/** The same for people. */
export function machineText(machine: Machine): string {
  const pairs = (values: Readonly<Record<string, string>>, mark: string) =>
    Object.entries(values)
      .map(([name, value]) => `${name}${mark}${value}`)
      .join(', ');
  return [
    `${machine.processor}, ${machine.cores} cores, ${machine.memoryGb} GB, ${machine.system}`,
    pairs(machine.versions, ' '),
    `Postgres: ${pairs(machine.settings, '=')}`,
  ].join('\n');
}
