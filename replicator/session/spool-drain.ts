import type { Client } from 'pg';
import type { Applier } from '../apply/applier.ts';
import type { Applied } from '../apply/run.ts';
import { displayName } from '../catalog/relation.ts';
import { joinStream } from '../metadata/many-tables.ts';
import { deleteSpooledSql, readSpool } from '../metadata/spool.ts';
import { joinStreamSql } from '../metadata/table-states.ts';
import { nextProgress } from '../metadata/table-state.ts';
import type { Lsn } from '../postgres/lsn.ts';
import { Problem } from '../problem.ts';
import { parseSnapshot } from '../spool/pg-snapshot.ts';
import { SpoolDecoder } from '../spool/spooled-changes.ts';
import type { Bell } from './bell.ts';
import type { Boundary } from './boundary.ts';
import type { FollowedTable } from './followed-table.ts';
import { noteSaved, saveTable } from './store-tables.ts';
import type { RetryClock } from './retry-clock.ts';
import type { TableSet } from './table-set.ts';

/** Rows of the spool, of at most a quarter of a MB each, in one go: the batches of the stream wait for no more than that. */
const ROWS_A_SLICE = 4;
const LOOK_MS = 100;
/** With every spool empty. */
const IDLE_LOOK_MS = 500;

export interface DrainOptions {
  readonly pipeline: string;
  readonly target: Client;
  readonly applier: Applier;
  readonly tables: TableSet;
  readonly boundary: Boundary;
  readonly clock: RetryClock;
  /** A table stands elsewhere than before. */
  readonly bell: Bell;
  readonly observer: {
    /** Some of a table's kept changes are on the target. */
    drained(table: FollowedTable, applied: Applied, durationMs: number): void;
    joined(table: FollowedTable): void;
    failed(table: FollowedTable, problem: Problem): Promise<void>;
  };
}

/**
 * Applies what the spools hold, in order, a slice at a time between the batches of the stream. The slice that empties a
 * table's spool makes it `streaming` in the same transaction: between two batches nothing can come in between.
 */
export async function drainSpools(options: DrainOptions, signal: AbortSignal): Promise<void> {
  const decoders = new WeakMap<FollowedTable, SpoolDecoder>();
  while (!signal.aborted) {
    const empty = options.tables.all.some((table) => table.spooledBytes === 0 && isDue(table, options));
    let progressed = empty && (await options.boundary.at((applied) => joinEmpty(applied, options)));
    for (const table of options.tables.all.filter((each) => isDue(each, options))) {
      const decoder = decoders.get(table) ?? new SpoolDecoder();
      decoders.set(table, decoder);
      progressed = (await options.boundary.at((applied) => slice(table, decoder, applied, options))) || progressed;
    }
    const pause = options.tables.all.some((table) => table.spooling) ? LOOK_MS : IDLE_LOOK_MS;
    if (!progressed) await options.bell.heard(pause, signal);
  }
}

function isDue(table: FollowedTable, { clock }: DrainOptions): boolean {
  return table.spooling && table.hasRows && !table.unbuilt && table.target !== null && clock.due(table.name);
}

// Tables whose spools are empty join the others all at once: after the first copy these are most, and there may be thousands.
async function joinEmpty(applied: Lsn, options: DrainOptions): Promise<boolean> {
  const { target, pipeline, tables, applier, observer, clock } = options;
  const due = tables.all.filter((table) => table.spooledBytes === 0 && isDue(table, options) && showsAll(table, applied));
  if (due.length === 0) return false;
  const sources = due.map((table) => table.mapping.source);
  const joined = new Set((await joinStream(target, pipeline, sources)).map(displayName));
  for (const table of due) {
    if (!joined.has(table.name)) continue;
    if (table.progress.state === 'error') table.progress = nextProgress(table.progress, { type: 'mended' });
    table.progress = nextProgress(table.progress, { type: 'caught up' });
    Object.assign(table, { spooling: false, copiedAsOf: null, spooledBytes: 0 });
    noteSaved(table);
    clock.succeeded(table.name);
    observer.joined(table);
  }
  if (joined.size > 0) applier.reroute();
  return joined.size > 0;
}

// What the copy has seen may still be on its way: it is told from the rest by the spool alone.
function showsAll({ copiedAsOf }: FollowedTable, applied: Lsn): boolean {
  return copiedAsOf === null || applied >= copiedAsOf.walEnd;
}

/** True when something was done. */
async function slice(table: FollowedTable, decoder: SpoolDecoder, applied: Lsn, options: DrainOptions): Promise<boolean> {
  // Much may have happened since this was asked for; another table may have the name.
  if (options.tables.get(table.name) !== table || !isDue(table, options)) return false;
  const { pipeline, target, applier } = options;
  const { source } = table.mapping;
  const startedAt = performance.now();
  const rows = await readSpool(target, pipeline, source, ROWS_A_SLICE);
  const binary = rows[0]?.binary ?? false;
  const other = rows.findIndex((row) => row.binary !== binary);
  const taken = other < 0 ? rows : rows.slice(0, other);
  const last = taken.at(-1);
  const empties = taken.length === rows.length && rows.length < ROWS_A_SLICE;
  const joins = empties && showsAll(table, applied);
  if (!last && !joins) return false;
  const seen = table.copiedAsOf?.snapshot ? parseSnapshot(table.copiedAsOf.snapshot) : null;
  try {
    const brought = await applier.applySpooled({
      changes: taken.flatMap((row) => decoder.changes(row.bytes, seen)),
      mapping: table.mapping,
      columns: table.columns,
      binary,
      after: [
        ...(last ? [deleteSpooledSql(pipeline, source, last.seq)] : []),
        ...(joins ? [joinStreamSql(pipeline, source)] : []),
      ],
    });
    table.spooledBytes = Math.max(0, table.spooledBytes - taken.reduce((sum, row) => sum + row.bytes.length, 0));
    options.observer.drained(table, brought, performance.now() - startedAt);
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    await options.observer.failed(table, error);
    return true;
  }
  if (joins) {
    Object.assign(table, { spooling: false, copiedAsOf: null, spooledBytes: 0 });
    applier.reroute();
  }
  const before = table.progress.state;
  if (before === 'error') table.progress = nextProgress(table.progress, { type: 'mended' });
  if (joins) table.progress = nextProgress(table.progress, { type: 'caught up' });
  await saveTable(target, pipeline, table);
  options.clock.succeeded(table.name);
  if (joins || before === 'error') options.observer.joined(table);
  return true;
}
