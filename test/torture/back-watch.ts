import type pg from 'pg';
import type { DatasetName } from '../../src/core/dataset.ts';
import { CATALOGUE, DATASETS } from '../../src/datasets/catalogue.ts';
import type { Row } from '../../src/simulator/history.ts';
import type { World } from '../../src/simulator/world.ts';
import type { Finding } from './journal.ts';

/**
 * Installs triggers that write down, in the very transaction, every state that a row of the four data
 * tables takes, every deletion, and every session token that was ever stored.
 *
 * A row's changes are in order by `id`: it is drawn while the row is locked.
 */
export async function watchRows(pool: pg.Pool): Promise<void> {
  await pool.query(`create schema torture;
    create table torture.state (id bigint generated always as identity primary key, dataset text not null,
      operation text not null, at timestamptz not null default clock_timestamp(), txid bigint not null default txid_current(),
      old jsonb, new jsonb);
    create table torture.token (token text not null);
    create function torture.note_state() returns trigger language plpgsql as $$ begin
      insert into torture.state (dataset, operation, old, new) values (tg_argv[0], tg_op,
        case when tg_op <> 'INSERT' then to_jsonb(old) end, case when tg_op <> 'DELETE' then to_jsonb(new) end);
      return null; end $$;
    create function torture.note_truncate() returns trigger language plpgsql as $$ begin
      insert into torture.state (dataset, operation) values (tg_argv[0], tg_op);
      return null; end $$;
    create function torture.note_token() returns trigger language plpgsql as $$ begin
      insert into torture.token values (new.token);
      return null; end $$;
    create trigger torture_token after insert or update on vcc.session_token
      for each row execute function torture.note_token();`);
  for (const { name, table, columns } of DATASETS) {
    const content = columns.map((column) => column.name);
    const row = (alias: string) => `(${content.map((column) => `${alias}.${column}`).join(', ')})`;
    await pool.query(`
      create trigger torture_written after insert or delete on vcc.${table}
        for each row execute function torture.note_state('${name}');
      create trigger torture_changed after update on vcc.${table} for each row
        when (${row('old')} is distinct from ${row('new')} or new.synced_through < old.synced_through)
        execute function torture.note_state('${name}');
      create trigger torture_truncated after truncate on vcc.${table}
        for each statement execute function torture.note_truncate('${name}');`);
  }
}

/** One state that a row took, as the triggers wrote it down. */
export interface NotedState {
  readonly id: number;
  readonly dataset: DatasetName;
  readonly operation: 'INSERT' | 'UPDATE' | 'DELETE' | 'TRUNCATE';
  readonly txid: number;
  readonly old: (Row & { readonly synced_through: string }) | null;
  readonly new: (Row & { readonly synced_through: string }) | null;
}

/** Everything that the triggers wrote down, in order. */
export async function notedStates(pool: pg.Pool): Promise<NotedState[]> {
  const { rows } = await pool.query<NotedState>(
    'select id, dataset, operation, txid, old, new from torture.state order by id',
  );
  return rows;
}

/**
 * Finds rows that were deleted or went back to an older state.
 *
 * The states that a row took must be found among the source's versions of it in the order of time. A
 * content may come again (A, B, A), so each state is taken for the earliest version that it can be: if
 * any way of reading them goes forward all along, this one does.
 */
export function findBackwards(states: readonly NotedState[], world: World): Finding[] {
  const findings: Finding[] = [];
  const reached = new Map<string, number>();
  for (const { id, dataset, operation, txid, old, new: state } of states) {
    if (state === null) {
      findings.push({ what: 'rows were deleted', facts: { dataset, operation, txid } });
      continue;
    }
    const { columns, key: keyColumn } = CATALOGUE[dataset];
    const [orgCode, key] = [state.org_code as string, state[keyColumn] as string];
    const facts = { dataset, orgCode, key, id, txid, operation };
    if (old && Date.parse(state.synced_through) < Date.parse(old.synced_through)) {
      findings.push({ what: 'synced_through went back', facts });
    }
    const name = `${dataset} ${orgCode} ${key}`;
    const from = reached.get(name) ?? 0;
    const versions = world.versions(dataset, orgCode, key);
    const isSame = (row: Row) => columns.every((column) => row[column.name] === state[column.name]);
    const version = versions.findIndex(({ row }, index) => index >= from && isSame(row));
    if (version >= 0) {
      reached.set(name, version);
      continue;
    }
    const before = versions.findLastIndex(({ row }) => isSame(row));
    const what = before < 0 ? 'a row took a state that the source never had' : 'a row went back';
    const through = { before: old?.synced_through, now: state.synced_through };
    const at = (index: number) => versions[index] && new Date(versions[index].at).toISOString();
    findings.push({ what, facts: { ...facts, through, from: at(from), to: at(before) } });
  }
  return findings;
}
