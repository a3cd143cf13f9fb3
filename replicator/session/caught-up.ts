import type { Client } from 'pg';
import { nextProgress, takesChanges } from '../metadata/table-state.ts';
import { storeCaughtUp } from '../metadata/table-states.ts';
import { on } from './blame.ts';
import type { FollowedTable } from './followed-table.ts';
import type { TableSet } from './table-set.ts';

/** The target has reached where the source was when the session began: tables that take changes stream from here on. Gives these. */
export async function letStream(target: Client, pipeline: string, tables: TableSet): Promise<FollowedTable[]> {
  const following = tables.all.filter((table) => takesChanges(table.progress.state) && !table.spooling);
  for (const table of following) table.progress = nextProgress(table.progress, { type: 'caught up' });
  await on('target', storeCaughtUp(target, pipeline));
  return following;
}
