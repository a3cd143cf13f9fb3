import type { Config } from '../config/schema.ts';
import type { Refusal } from '../schema/build-steps.ts';
import { mendParts } from '../schema/mend-steps.ts';
import { planTables } from '../schema/read-parts.ts';
import type { Bell } from './bell.ts';
import { onBuildSource, openBuildTarget } from './build-lines.ts';
import { ClientPool } from './client-pool.ts';
import type { FollowedTable } from './followed-table.ts';
import type { Ends } from './ends.ts';
import { RetryClock } from './retry-clock.ts';
import type { TableSet } from './table-set.ts';

const LOOK_MS = 2000;

export interface MendTablesOptions {
  readonly ends: Ends;
  readonly config: Config;
  readonly tables: TableSet;
  /** Somebody has asked for a table. */
  readonly bell: Bell;
  readonly observer: {
    /** Parts of a table that are there now. */
    mended(table: FollowedTable, parts: readonly string[]): void;
    /** What it still goes without. */
    unbuilt(table: FollowedTable, refusals: readonly Refusal[]): void;
  };
}

/**
 * Tries once more what the target has refused of tables that we have created (an index whose operator class was not there), once a
 * session and whenever somebody asks for it. The stream goes on meanwhile.
 */
export async function mendTables(options: MendTablesOptions, signal: AbortSignal): Promise<void> {
  const { tables, config, bell } = options;
  // What passes by itself.
  const clock = new RetryClock(Date.now);
  // One at a time: nobody waits for it.
  const pool = new ClientPool(1, () => openBuildTarget(config));
  const cut = (): void => pool.cut();
  signal.addEventListener('abort', cut, { once: true });
  try {
    while (!signal.aborted) {
      for (const table of tables.all.filter((each) => isDue(each) && clock.due(each.name))) {
        try {
          await mend(table, pool, options, signal);
          clock.succeeded(table.name);
        } catch {
          if (signal.aborted) return;
          clock.failed(table.name);
        }
      }
      await pool.rest();
      await bell.heard(LOOK_MS, signal);
    }
  } finally {
    signal.removeEventListener('abort', cut);
    await pool.rest();
  }
}

// While it is copied or in error there is nothing to be gained.
function isDue({ mend, unbuilt, spooling, progress }: FollowedTable): boolean {
  return mend !== 'no' && !unbuilt && !spooling && progress.state === 'streaming';
}

async function mend(
  table: FollowedTable,
  pool: ClientPool,
  { ends, config, observer }: MendTablesOptions,
  signal: AbortSignal,
): Promise<void> {
  const asked = table.mend === 'asked';
  const { mapping } = table;
  const plans = await onBuildSource(config, signal, (source) =>
    planTables({ source, target: ends.target }, config.name, [{ oid: table.source.oid, mapping }], 'refused'),
  );
  for (const plan of plans) {
    const { made, refusals } = await mendParts(plan, { pipeline: config.name, use: (work) => pool.use(work) });
    if (made.length > 0) observer.mended(table, made);
    // At a start that is no news.
    if (asked) observer.unbuilt(table, refusals);
    table.lacking = refusals.length > 0 || plan.impossible.length > 0;
  }
  table.mend = 'no';
}
