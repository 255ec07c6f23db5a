import { join } from 'node:path';
import { addresses } from '../../../src/datasets/addresses.ts';
import type { Owner } from '../databases.ts';
import type { Stage } from '../stage.ts';
import { filePrefix, type Kind, writeTable } from '../table-file.ts';

/** One table for each of some organisations, to be loaded into one database at once. */
export interface Task {
  readonly databaseUrl: string;
  /** The source's URL of the tables, as the service takes it for the platform's. */
  readonly baseUrl: string;
  readonly orgCodes: readonly string[];
  readonly rows: number;
  readonly stage: Stage;
}

/** What a load took. */
export interface Loaded {
  /** From the request to the commit. */
  readonly seconds: number;
  /** Peak memory of the process that loads, in bytes, where it is one process. */
  readonly peak?: number;
  /** Processor time of that process, in seconds. */
  readonly cpu?: number;
}

/** One way to load tables. */
export interface Contestant {
  readonly name: string;
  readonly owner: Owner;
  /** Says why it can not run here; null if it can. */
  lack(): Promise<string | null>;
  load(task: Task): Promise<Loaded>;
}

/** By what a contestant is known. */
export const nameOf = ({ name }: { readonly name: string }): string => name;

/** The URL from which everyone but the service fetches an organisation's table. */
export function tableUrl(baseUrl: string, orgCode: string): string {
  return `${baseUrl}${addresses.path}?orgCode=${orgCode}`;
}

/** Prepares the tables of some organisations and answers the base URL at which they are served. */
export async function serveTables(
  { source, folder, signal }: Stage,
  { kind, rows, orgCodes }: { kind: Kind; rows: number; orgCodes: readonly string[] },
  past = false,
): Promise<string> {
  for (const orgCode of orgCodes) await writeTable(folder, { kind, rows, orgCode }, signal);
  const prefix = filePrefix({ kind, rows });
  const name = `${prefix}${past ? 'past' : 'now'}`;
  return source.run({ kind: 'file', name, prefix: join(folder, prefix), past });
}

/** Runs work for each organisation at once, and takes the time until the last is done. */
export async function allAtOnce(
  orgCodes: readonly string[],
  work: (orgCode: string) => Promise<unknown>,
): Promise<Loaded> {
  const started = performance.now();
  await Promise.all(orgCodes.map(work));
  return { seconds: (performance.now() - started) / 1000 };
}
