import { expect } from 'vitest';
import { sql, type TestDatabases } from './databases.ts';
import { eventually } from './eventually.ts';
import type { RunningPipeline } from './run-pipeline.ts';

/** Copies a table again, and gives what the event says of it. */
export async function resync(running: RunningPipeline, table = 'public.t'): Promise<string> {
  const { controls, events, model } = running.pipeline;
  const told = () => events.after().filter((event) => event.code === 'RESYNCED' && event.table === table);
  const before = told().length;
  await controls.resyncTable(table, 'test');
  await eventually(() => expect(told().length, JSON.stringify(model.table(table))).toBe(before + 1), { timeout: 30_000 });
  await eventually(() => expect(model.table(table)).toMatchObject({ state: 'streaming', error: null }), { timeout: 30_000 });
  return told().at(-1)?.message ?? '';
}

/** Nothing of the copy is left but its rows. */
export async function cleared(db: TestDatabases): Promise<void> {
  const left = `SELECT relname FROM pg_class WHERE relnamespace = 'pgfollow'::regnamespace AND relname ~ '^(shadow|difference|kept)_[0-9]'`;
  await eventually(async () => expect(await sql(db.target, left)).toEqual([]), { timeout: 20_000 });
  expect(await sql(db.target, 'SELECT FROM pgfollow.shadow_chunk')).toEqual([]);
  expect(await sql(db.target, 'SELECT FROM pgfollow.shadow')).toEqual([]);
  expect(await sql(db.target, 'SELECT FROM pgfollow.copy_chunk')).toEqual([]);
}

/** As the event of a table that was copied again tells what it found. */
export const counts = (missing: number, extra: number, different: number): string =>
  `${missing} missing, ${extra} that the source has not, ${different} with other values`;
