import type { Client } from 'pg';
import { storeText } from './stored-text.ts';

/** Events older than the newest so many are deleted: a log for people, not an archive. */
const KEEP = 10_000;

/** An event as schema pgfollow keeps it; `at` is RFC 3339, `id` rises with time. */
export interface StoredEvent {
  readonly id: number;
  readonly at: string;
  readonly level: 'info' | 'warn' | 'error';
  readonly table?: string;
  readonly code: string;
  readonly message: string;
  readonly remedy?: string;
}

/** Stores events, one that was stored before with its newer text, and forgets the oldest. */
export async function storeEvents(target: Client, pipeline: string, events: readonly StoredEvent[]): Promise<void> {
  for (const event of events) {
    await storeText([event.table ?? null, event.message, event.remedy ?? null], ([table, message, remedy]) =>
      target.query(
        `INSERT INTO pgfollow.event (pipeline, id, at, level, source_table, code, message, remedy)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
         ON CONFLICT (pipeline, id) DO UPDATE SET at = EXCLUDED.at, message = EXCLUDED.message, remedy = EXCLUDED.remedy`,
        [pipeline, event.id, event.at, event.level, table, event.code, message, remedy],
      ),
    );
  }
  await target.query(
    `DELETE FROM pgfollow.event WHERE pipeline = $1
       AND id <= (SELECT id FROM pgfollow.event WHERE pipeline = $1 ORDER BY id DESC OFFSET ${KEEP} LIMIT 1)`,
    [pipeline],
  );
}

/** The newest `limit` events, oldest first. */
export async function readEvents(target: Client, pipeline: string, limit: number): Promise<StoredEvent[]> {
  const { rows } = await target.query<{
    id: string;
    at: Date;
    level: StoredEvent['level'];
    source_table: string | null;
    code: string;
    message: string;
    remedy: string | null;
  }>(
    'SELECT id, at, level, source_table, code, message, remedy FROM pgfollow.event WHERE pipeline = $1 ORDER BY id DESC LIMIT $2',
    [pipeline, limit],
  );
  return rows.reverse().map((row) => ({
    id: Number(row.id),
    at: row.at.toISOString(),
    level: row.level,
    code: row.code,
    message: row.message,
    ...(row.source_table === null ? {} : { table: row.source_table }),
    ...(row.remedy === null ? {} : { remedy: row.remedy }),
  }));
}
