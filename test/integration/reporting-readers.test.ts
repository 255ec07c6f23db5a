import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import pg from 'pg';
import { beforeAll, describe, expect, it } from 'vitest';
import { startEmbeddedPostgres } from '../../src/cli/embedded-postgres.ts';
import { missingReaders } from '../../src/cli/migrate.ts';
import { DATASETS } from '../../src/datasets/catalogue.ts';
import { fillCodeLists } from '../../src/store/code-lists.ts';
import { migrate } from '../../src/store/migrate.ts';
import { openDatabase } from '../../src/store/pool.ts';
import { READER_ROLES } from '../../src/store/readers.ts';
import { DICTIONARY_FILE, listViewColumns, writeDictionary } from '../support/data-dictionary.ts';
import { useDatabase } from '../support/database.ts';
import { databaseUrl } from '../support/database-names.ts';
import { storeHousehold } from '../support/reporting-world.ts';

const database = useDatabase();

beforeAll(() => storeHousehold(database.pool));

type Rows = Record<string, unknown>[];

/** Runs queries one after another as somebody else; answers the rows of the last, and what was noticed. */
async function readAs(
  role: string,
  ...queries: readonly string[]
): Promise<{ rows: Rows; notices: string[] }> {
  const client = new pg.Client({ connectionString: database.url });
  const notices: string[] = [];
  client.on('notice', ({ message }) => notices.push(message ?? ''));
  await client.connect();
  try {
    await client.query(`set role ${role}`);
    let rows: Rows = [];
    for (const query of queries) rows = (await client.query<Record<string, unknown>>(query)).rows;
    return { rows, notices };
  } finally {
    await client.end();
  }
}

const SUBSCRIBERS = `select subscriber_code as code, name, telephone, mobile, address_detail, extra
  from reporting.subscriber order by 1`;

const WHOLE = [
  {
    code: 'S1',
    name: '张三丰',
    telephone: '0512-63001234',
    mobile: '13600000001',
    address_detail: '203室',
    extra: { 联系人: '李四' },
  },
  {
    code: 'S2',
    name: '苏州食品有限公司',
    telephone: '10086',
    mobile: null,
    address_detail: '苏州食品有限公司 63001234',
    extra: null,
  },
];

const MASKED = [
  {
    code: 'S1',
    name: '张**',
    telephone: '051****1234',
    mobile: '136****0001',
    address_detail: '203室',
    extra: null,
  },
  {
    code: 'S2',
    name: '苏**',
    telephone: '****',
    mobile: null,
    address_detail: '苏** ****',
    extra: null,
  },
];

/** What rows refer to, and so what readers ask by: index, table, its key, the view, the reference. */
const REFERENCES = [
  ['address_parent_idx', 'address', 'address_code', 'address_tree', 'parent_address_code'],
  [
    'supply_point_building_idx',
    'supply_point',
    'supply_point_code',
    'supply_point',
    'building_code',
  ],
  ['subscriber_address_idx', 'subscriber', 'subscriber_code', 'subscriber', 'address_code'],
  ['meter_subscriber_idx', 'meter', 'meter_code', 'meter', 'subscriber_code'],
] as const;

describe('vcc_reader', () => {
  it('sees names and numbers masked, wherever they appear', async () => {
    expect((await readAs('vcc_reader', SUBSCRIBERS)).rows).toEqual(MASKED);
    const meters = await readAs(
      'vcc_reader',
      `select distinct subscriber_name, address_detail from reporting.meter`,
    );
    expect(meters.rows).toEqual([{ subscriber_name: '张**', address_detail: '203室' }]);
    const households = await readAs(
      'vcc_reader',
      `select name, telephone, mobile, supply_point_codes from reporting.household order by subscriber_code`,
    );
    expect(households.rows).toEqual([
      {
        name: '张**',
        telephone: '051****1234',
        mobile: '136****0001',
        supply_point_codes: ['P1'],
      },
      { name: '苏**', telephone: '****', mobile: null, supply_point_codes: [] },
    ]);
  });

  it('sees no name that was written beside a number, and no number that was written with separators', async () => {
    const { rows } = await database.pool.query<{ masked: string }>(
      `select vcc.masked_number(number) as masked
        from unnest(array['张三13800138000', '13800138000张三', '(0512) 6300-1234', '13800138000/63001234'])
          with ordinality as given (number, place) order by place`,
    );
    expect(rows.map(({ masked }) => masked)).toEqual([
      '****',
      '****',
      '(05****1234',
      '138****1234',
    ]);
    const text = `select vcc.masked_text('12-3-1101 138-0013-8000, 138 0013 8000, １３８００１３８０００', null) as masked`;
    const texts = await database.pool.query<{ masked: string }>(text);
    expect(texts.rows).toEqual([{ masked: '12-3-1101 ****, ****, ****' }]);
    // The README and the data dictionary say what it can not tell.
    const beyond = '张三丰: 问李四或三丰, 0512-6300 1234';
    const told = await database.pool.query<{ masked: string }>(
      'select vcc.masked_text($1, $2) as masked',
      [beyond, '张三丰'],
    );
    expect(told.rows).toEqual([{ masked: '张**: 问李四或三丰, 0512-6300 1234' }]);
  });

  it.each([
    ['with blanks around it', '张三丰 ', '张三丰家', '张**家'],
    ['with wide blanks around it', '\u3000张三丰\u3000', '张三丰家', '张**家'],
    ['with a number in it', '苏州1234567食品厂', '苏州1234567食品厂 63001234', '苏** ****'],
    ['that is a number in a number', '1', '1 13800138000', '** ****'],
    ['that is one character and a wide blank', '张\u3000', '张家', '**家'],
    ['that is empty', '', '203室 63001234', '203室 ****'],
    ['of blanks', ' \u3000', '203室 63001234', '203室 ****'],
    ['that is not there', null, '203室 63001234', '203室 ****'],
  ])('sees no name in text: one %s', async (_, name, free, masked) => {
    const { rows } = await database.pool.query<{ masked: string }>(
      'select vcc.masked_text($1, $2) as masked',
      [free, name],
    );
    expect(rows).toEqual([{ masked }]);
  });

  it('sees no number in the names of addresses, nor the subscriber in the text of a meter', async () => {
    const client = await database.pool.connect();
    const seen = async (role: string) => {
      await client.query(`set local role ${role}`);
      const { rows } = await client.query(
        `select t.name, t.full_address, t.path_names[2:3] as path, t.district, b.ancestor_name as above, m.location,
            m.full_address as of_meter, m.path_names[2:3] as path_of_meter
          from reporting.address_tree t join reporting.meter m using (org_code, address_code)
          join reporting.address_below b using (org_code, address_code)
          where m.meter_code = 'LEAK' and b.ancestor_code = 'DLEAK'`,
      );
      await client.query('reset role');
      return rows;
    };
    try {
      await client.query('begin');
      await client.query(
        `insert into vcc.address (address_code, parent_address_code, address_type, name, full_address, state, org_code,
            first_seen_at, changed_at, synced_through, run_id)
          select t.*, 'A', 'WJ0105', now(), now(), now(), 1 from (values
            ('PLEAK', null, 'P', '江苏省', null), ('DLEAK', 'PLEAK', 'D', '区 13800138000', null),
            ('BLEAK', 'DLEAK', 'B', '1幢 138 0013 8000', '区1幢，63001234')) as t`,
      );
      await client.query(
        `insert into vcc.subscriber (subscriber_code, name, address_code, org_code, first_seen_at, changed_at, synced_through, run_id)
          values ('SLEAK', '张三丰', 'BLEAK', 'WJ0105', now(), now(), now(), 1)`,
      );
      await client.query(
        `insert into vcc.meter (meter_code, subscriber_code, location, state, org_code, first_seen_at, changed_at, synced_through, run_id)
          values ('LEAK', 'SLEAK', '张三丰家厨房', 'A', 'WJ0105', now(), now(), now(), 1)`,
      );
      expect(await seen('vcc_reader')).toEqual([
        {
          name: '1幢 ****',
          full_address: '区1幢，****',
          path: ['区 ****', '1幢 ****'],
          district: '区 ****',
          above: '区 ****',
          location: '张**家厨房',
          of_meter: '区1幢，****',
          path_of_meter: ['区 ****', '1幢 ****'],
        },
      ]);
      expect(await seen('vcc_reader_full')).toMatchObject([
        { path: ['区 13800138000', '1幢 138 0013 8000'], location: '张三丰家厨房' },
      ]);
    } finally {
      await client.query('rollback');
      client.release();
    }
  });

  it.each(REFERENCES)(
    'is served by %s when it asks for the %s rows of a reference',
    async (index, table, key, view, by) => {
      const client = await database.pool.connect();
      try {
        await client.query('begin');
        // So many rows of one organisation that no table is read whole for three of them.
        await client.query(
          `insert into vcc.${table} (${key}, ${by}, org_code, first_seen_at, changed_at, synced_through, run_id)
          select 'X' || g, 'X' || g / 3, 'WJ0105', now(), now(), now(), 1 from generate_series(1, 3000) g`,
        );
        await client.query(`analyze vcc.${table}`);
        await client.query('set local role vcc_reader');
        const { rows } = await client.query<{ 'QUERY PLAN': string }>(
          `explain (costs off) select * from reporting.${view} where org_code = $1 and ${by} = $2`,
          ['WJ0105', 'X7'],
        );
        const plan = rows.map((row) => row['QUERY PLAN']).join('\n');
        // By both columns: by the organisation alone it would be as long a way as the whole table.
        const both = `Index Cond: \\(\\(org_code = .*\\) AND \\(${by} = .*\\)\\)`;
        expect(plan).toMatch(new RegExp(`(using|on) ${index}\\b.*\\n *${both}`));
      } finally {
        await client.query('rollback');
        client.release();
      }
    },
  );

  it('finds no one by a name or number that is masked', async () => {
    const query = `select count(*) from reporting.subscriber where name = '张三丰' or mobile like '%00000001'`;
    expect((await readAs('vcc_reader', query)).rows).toEqual([{ count: 0 }]);
    expect((await readAs('vcc_reader_full', query)).rows).toEqual([{ count: 1 }]);
  });

  it('gets nothing whole by functions of its own, in a filter or in the place of ours', async () => {
    const schema = `cheat_${randomBytes(4).toString('hex')}`;
    await database.pool.query(`create schema ${schema} authorization vcc_reader`);
    const { rows, notices } = await readAs(
      'vcc_reader',
      `create function ${schema}.peek(what text) returns boolean language plpgsql cost 0.0001
        as $$ begin raise notice '%', what; return true; end $$`,
      `create function ${schema}.left(what text, length int) returns text language plpgsql
        as $$ begin raise notice '%', what; return what; end $$`,
      `create function ${schema}.btrim(what text) returns text language plpgsql
        as $$ begin raise notice '%', what; return what; end $$`,
      `create function ${schema}.pg_has_role(who oid, what text) returns boolean language sql as 'select true'`,
      `set search_path = ${schema}, pg_catalog`,
      `select subscriber_code as code, name, telephone, mobile, address_detail, extra
        from reporting.subscriber where peek(name) and peek(mobile) and peek(telephone) and peek(address_detail)
          and peek(extra::text) order by 1`,
    );
    expect(rows).toEqual(MASKED);
    expect(notices).toContain('张**');
    expect(notices.join()).not.toMatch(/三丰|食品|13600000001|63001234|李四/);
  });
});

describe('vcc_reader_full', () => {
  it('sees names and numbers whole, and so does a member of it', async () => {
    expect((await readAs('vcc_reader_full', SUBSCRIBERS)).rows).toEqual(WHOLE);
    const member = `reader_${randomBytes(4).toString('hex')}`;
    await database.pool.query(`create role ${member} in role vcc_reader_full`);
    try {
      expect((await readAs(member, SUBSCRIBERS)).rows).toEqual(WHOLE);
    } finally {
      await database.pool.query(`drop role ${member}`);
    }
  });
});

describe.each(READER_ROLES)('%s', (role) => {
  it('reads every view', async () => {
    const views = new Set((await listViewColumns(database.pool)).map(({ view }) => view));
    expect(views.size).toBe(14);
    for (const view of views) {
      await expect(readAs(role, `select * from reporting.${view}`), view).resolves.toBeDefined();
    }
  });

  it('can write nothing, and read nothing else: no refused lines, no token', async () => {
    for (const table of ['vcc.reject', 'vcc.session_token', 'vcc.subscriber', 'vcc.run']) {
      await expect(readAs(role, `select * from ${table}`), table).rejects.toThrow(
        'permission denied',
      );
    }
    const { rows } = await database.pool.query(
      `select c.oid::regclass::text as name from pg_class c join pg_namespace n on n.oid = c.relnamespace
        where n.nspname in ('vcc', 'bullmq', 'reporting') and c.relkind in ('r', 'p', 'v', 'm', 'S') and (
          (n.nspname <> 'reporting' and c.relkind <> 'S' and has_table_privilege($1, c.oid, 'select'))
          or (c.relkind <> 'S' and has_table_privilege($1, c.oid, 'insert, update, delete, truncate'))
          or (c.relkind = 'S' and has_sequence_privilege($1, c.oid, 'select, update, usage')))`,
      [role],
    );
    expect(rows).toEqual([]);
    const { rows: schemas } = await database.pool.query(
      `select nspname from pg_namespace where nspname in ('vcc', 'bullmq', 'reporting', 'public')
        and has_schema_privilege($1, oid, 'create')`,
      [role],
    );
    expect(schemas).toEqual([]);
  });

  it('can be asked nothing about a refused line, the words of an error or who wanted what', async () => {
    const columns = (await listViewColumns(database.pool)).map(({ name }) => name);
    for (const name of ['line', 'line_hash', 'error_message', 'last_error', 'token', 'worker']) {
      expect(columns).not.toContain(name);
    }
    for (const name of ['reason', 'requested_by', 'accepted_by']) {
      expect(columns).not.toContain(name);
    }
  });
});

describe('the roles', () => {
  it('are asked for where migrate may not make them, and admitted once somebody else has', async () => {
    const server = await startEmbeddedPostgres();
    const admin = new pg.Client({ connectionString: server.url });
    try {
      await admin.connect();
      await admin.query(`create role plain login password 'plain'`);
      await admin.query('create database reports owner plain');
      const url = Object.assign(new URL(databaseUrl(server.url, 'reports')), {
        username: 'plain',
        password: 'plain',
      }).href;
      const { readers } = await migrate(url);
      expect(readers).toEqual({ missing: ['vcc_reader', 'vcc_reader_full'], user: 'plain' });
      const advice = missingReaders(readers);
      expect(advice[0]).toContain('plain may not create roles');
      for (const line of advice) if (line.startsWith('  ')) await admin.query(line);
      expect(missingReaders((await migrate(url)).readers)).toEqual([]);
      const client = new pg.Client({ connectionString: databaseUrl(server.url, 'reports') });
      await client.connect();
      await client.query('set role vcc_reader');
      expect((await client.query('select * from reporting.freshness')).rows).toEqual([]);
      await client.end();
    } finally {
      await admin.end();
      await server.stop();
    }
  });

  it('are made once by migrations of several databases at the same time', async () => {
    const server = await startEmbeddedPostgres();
    const admin = new pg.Client({ connectionString: server.url });
    try {
      await admin.connect();
      const names = ['one', 'two', 'three'];
      for (const name of names) await admin.query(`create database ${name}`);
      const urls = names.flatMap((name) => Array(2).fill(databaseUrl(server.url, name)));
      const done = await Promise.all(urls.map((url) => migrate(url)));
      expect(done.map(({ readers }) => readers.missing)).toEqual(urls.map(() => []));
      for (const name of names) {
        const client = new pg.Client({ connectionString: databaseUrl(server.url, name) });
        await client.connect();
        await client.query('set role vcc_reader_full');
        expect((await client.query('select * from reporting.gap')).rows).toEqual([]);
        await client.end();
      }
    } finally {
      await admin.end();
      await server.stop();
    }
  });
});

describe('the code lists', () => {
  it("are the catalogue's, and are brought back to it", async () => {
    const wanted = DATASETS.flatMap(({ name, columns }) =>
      columns.flatMap((column) =>
        Object.entries(column.codes ?? {}).map(
          ([code, { zh, en }]) => `${name} ${column.name} ${code} ${zh} ${en}`,
        ),
      ),
    );
    const stored = async () =>
      (
        await database.pool.query<{ text: string }>(
          `select concat_ws(' ', dataset, column_name, code, zh, en) as text from reporting.code`,
        )
      ).rows.map(({ text }) => text);
    expect((await stored()).sort()).toEqual([...wanted].sort());
    await database.pool.query(`update vcc.code set en = 'x' where code = 'A'`);
    await database.pool.query(`delete from vcc.code where code = 'B'`);
    await database.pool.query(`insert into vcc.code values ('meters', 'model', '01', 'x', 'x')`);
    await fillCodeLists(openDatabase(database.pool));
    expect((await stored()).sort()).toEqual([...wanted].sort());
  });
});

describe('the contract', () => {
  it('explains every view and column, and migrations/data-dictionary.md is what they say (npm run docs)', async () => {
    const columns = await listViewColumns(database.pool);
    expect(columns.filter(({ about, comment }) => !about || !comment)).toEqual([]);
    expect(await writeDictionary(database.pool)).toBe(await readFile(DICTIONARY_FILE, 'utf8'));
  });
});
