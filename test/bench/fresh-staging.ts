/**
 * Puts a table of this transaction in place of the connection's own staging table, by whose columns it
 * is made: what a run would do that had none.
 */
export const FRESH_STAGING = `
  create temp table if not exists kept_columns (like pg_temp.stage);
  drop table if exists pg_temp.stage;
  create temp table stage (like kept_columns) on commit drop`;
