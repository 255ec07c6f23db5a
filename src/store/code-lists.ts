import { sql } from 'kysely';
import { DATASETS } from '../datasets/catalogue.ts';
import type { Database } from './pool.ts';

/** Brings the document's code lists in the database, which the views read, in line with the catalogue. */
export async function fillCodeLists(db: Database): Promise<void> {
  const codes = DATASETS.flatMap(({ name, columns }) =>
    columns.flatMap((column) =>
      Object.entries(column.codes ?? {}).map(([code, { zh, en }]) => ({
        dataset: name,
        column_name: column.name,
        code,
        zh,
        en,
      })),
    ),
  );
  await db.transaction().execute(async (trx) => {
    await trx
      .insertInto('vcc.code')
      .values(codes)
      .onConflict((conflict) =>
        conflict
          .constraint('code_pkey')
          .doUpdateSet(({ ref }) => ({ zh: ref('excluded.zh'), en: ref('excluded.en') }))
          .where(sql<boolean>`(code.zh, code.en) is distinct from (excluded.zh, excluded.en)`),
      )
      .execute();
    await trx
      .deleteFrom('vcc.code')
      .where(({ eb, refTuple, tuple }) =>
        eb.not(
          eb(
            refTuple('dataset', 'column_name', 'code'),
            'in',
            codes.map((code) => tuple(code.dataset as string, code.column_name, code.code)),
          ),
        ),
      )
      .execute();
  });
}
