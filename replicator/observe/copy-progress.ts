import type { CopyProgress, TableStatus } from './status.ts';
import { iso } from './table-book.ts';

/** What is older than this hardly counts. */
const PACE_MS = 60_000;
/** Before so much is done, or so much time has passed, a forecast would be a guess. */
const FORECAST_SHARE = 0.05;
const FORECAST_MS = 30_000;
/** Looks closer than this tell nothing about a pace. */
const LOOK_MS = 900;

interface Wave {
  readonly startedMs: number;
  lookedMs: number;
  rows: number;
  bytes: number;
  rowsPerSecond: number;
  bytesPerSecond: number;
}

/**
 * The tables that are being copied, as one piece of work: from the moment when there is something to copy until there is
 * nothing left. What was copied before that is not counted.
 */
export class CopyWatch {
  #wave: Wave | null = null;
  #progress: CopyProgress | null = null;
  /** The last wave, and what an earlier process left; null where nothing was ever copied. */
  #last: { readonly startedMs: number; readonly finishedMs: number } | null = null;

  get progress(): CopyProgress | null {
    return this.#progress;
  }

  /** When the wave that is under way, or else the last one, began and was over; ms since 1970. */
  get times(): { readonly startedMs: number | null; readonly finishedMs: number | null } {
    if (this.#wave) return { startedMs: this.#wave.startedMs, finishedMs: null };
    return this.#last ?? { startedMs: null, finishedMs: null };
  }

  look(tables: Iterable<Readonly<TableStatus>>, nowMs: number): void {
    const startedMs = this.#wave?.startedMs ?? nowMs;
    const sum = { tables: 0, tablesDone: 0, rows: 0, bytes: 0, rowsEstimated: 0 as number | null };
    for (const { state, snapshot } of tables) {
      const unfinished = state === 'pending' || state === 'copying' || state === 'indexing';
      if (!unfinished && !(snapshot.finishedAt !== null && Date.parse(snapshot.finishedAt) >= startedMs)) continue;
      sum.tables++;
      if (!unfinished) sum.tablesDone++;
      sum.rows += snapshot.rowsCopied;
      sum.bytes += snapshot.bytesCopied;
      // Of a table that is done the number of rows is known.
      const expected = unfinished && state !== 'indexing' ? snapshot.rowsEstimated : snapshot.rowsCopied;
      sum.rowsEstimated = sum.rowsEstimated === null || expected === null ? null : sum.rowsEstimated + expected;
    }
    if (sum.tables === sum.tablesDone) {
      this.#last = this.#wave ? { startedMs, finishedMs: nowMs } : (this.#last ?? copiedBefore(tables));
      this.#wave = null;
      this.#progress = null;
      return;
    }
    const wave = this.#pace(sum, nowMs);
    const part = share(sum.rows, sum.rowsEstimated);
    this.#progress = {
      startedAt: iso(startedMs),
      ...sum,
      rowsPerSecond: Math.round(wave.rowsPerSecond),
      bytesPerSecond: Math.round(wave.bytesPerSecond),
      share: part,
      secondsLeft: secondsLeft(sum, part, wave, nowMs - startedMs),
    };
  }

  #pace({ rows, bytes }: { rows: number; bytes: number }, nowMs: number): Wave {
    const wave = (this.#wave ??= { startedMs: nowMs, lookedMs: nowMs, rows, bytes, rowsPerSecond: 0, bytesPerSecond: 0 });
    const ms = nowMs - wave.lookedMs;
    if (ms < LOOK_MS) return wave;
    // In the first minute all that there is counts the same.
    const weight = ms / (Math.min(PACE_MS, wave.lookedMs - wave.startedMs) + ms);
    const blend = (before: number, grown: number): number => before + ((Math.max(0, grown) * 1000) / ms - before) * weight;
    wave.rowsPerSecond = blend(wave.rowsPerSecond, rows - wave.rows);
    wave.bytesPerSecond = blend(wave.bytesPerSecond, bytes - wave.bytes);
    wave.lookedMs = nowMs;
    wave.rows = rows;
    wave.bytes = bytes;
    return wave;
  }
}

/** From when to when tables were copied by an earlier process. */
function copiedBefore(tables: Iterable<Readonly<TableStatus>>): { startedMs: number; finishedMs: number } | null {
  let [startedMs, finishedMs] = [Infinity, 0];
  for (const { snapshot } of tables) {
    if (snapshot.startedAt === null || snapshot.finishedAt === null) continue;
    startedMs = Math.min(Date.parse(snapshot.startedAt), startedMs);
    finishedMs = Math.max(Date.parse(snapshot.finishedAt), finishedMs);
  }
  return finishedMs === 0 ? null : { startedMs, finishedMs };
}

/** How much is done, or null where the estimate is missing or already proved wrong: better no number than a false one. */
export function share(done: number, estimated: number | null): number | null {
  return estimated !== null && estimated > 0 && done <= estimated ? Math.round((done / estimated) * 1000) / 1000 : null;
}

function secondsLeft(
  { rows, rowsEstimated }: { rows: number; rowsEstimated: number | null },
  part: number | null,
  { rowsPerSecond }: Wave,
  elapsedMs: number,
): number | null {
  if (part === null || rowsEstimated === null || rowsPerSecond <= 0) return null;
  if (part < FORECAST_SHARE && elapsedMs < FORECAST_MS) return null;
  return Math.round((rowsEstimated - rows) / rowsPerSecond);
}
