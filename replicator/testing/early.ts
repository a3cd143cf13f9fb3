import { sql, value, type TestDatabases } from './databases.ts';
import { startCaughtUp, type RunningPipeline } from './run-pipeline.ts';

/** A pipeline whose source streams at once what is larger than 64 kB: tables by `ddl` on both sides, rows by `fill`. */
export async function followEarly(
  db: TestDatabases,
  { ddl, fill }: { ddl: string; fill: string },
  settings: Record<string, unknown> = {},
): Promise<RunningPipeline> {
  await sql(db.source, `ALTER DATABASE ${db.source.name} SET logical_decoding_work_mem = '64kB'`);
  for (const side of [db.source, db.target]) await sql(side, ddl);
  await sql(db.source, fill);
  const start = (): Promise<RunningPipeline> => startCaughtUp(db, { apply: { maxBatchBytes: '128kB' }, ...settings });
  // What the first session sets on the source makes it look at the tables once more, and that would come in between.
  await (await start()).stop();
  return await start();
}

/** Whether a transaction in progress on the source has rows on the target now. */
export async function earlyIsThere(db: TestDatabases): Promise<boolean> {
  const open = `SELECT backend_xid IS NOT NULL FROM pg_stat_activity WHERE application_name = $1 AND datname = current_database()`;
  return (await value(db.target, open, [`pgfollow ${db.name} early`])) === 't';
}
