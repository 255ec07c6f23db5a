import { sql } from 'kysely';
import type { HealthSettings } from '../core/health.ts';
import type { Database } from './pool.ts';
import { NOW } from './time.ts';

/**
 * Notes the settings by which gaps are told, so that the views of schema `reporting` tell the same as we
 * do; the last one who migrates or starts wins.
 */
export async function noteSettings(db: Database, { every, settle }: HealthSettings): Promise<void> {
  const interval = (ms: number) => sql<string>`make_interval(secs => ${ms / 1000})`;
  await db
    .updateTable('vcc.service_setting')
    .set({ every: interval(every), settle: interval(settle), noted_at: NOW })
    .where(sql<boolean>`(every, settle) is distinct from (${interval(every)}, ${interval(settle)})`)
    .execute();
}
