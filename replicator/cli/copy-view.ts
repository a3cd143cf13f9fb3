import type { CopyProgress, TableStatus } from '../observe/status.ts';
import { formatSeconds } from '../observe/summary.ts';
import { formatBytes, formatCount, printable } from './style.ts';

/** The whole copy in one line: `45 %, 3 of 7 tables, 1 200 rows, 1.2 MB, 400 rows/s, 3 min left`. */
export function describeCopy({ share, tables, tablesDone, rows, bytes, rowsPerSecond, secondsLeft }: CopyProgress): string {
  return [
    // Never as finished before it is.
    share === null ? null : `${Math.min(99, Math.floor(share * 100))} %`,
    `${tablesDone} of ${tables} ${tables === 1 ? 'table' : 'tables'}`,
    `${formatCount(rows)} rows`,
    formatBytes(bytes),
    rowsPerSecond > 0 ? `${formatCount(rowsPerSecond)} rows/s` : null,
    secondsLeft === null ? null : `${formatSeconds(secondsLeft)} left`,
  ]
    .filter((part) => part !== null)
    .join(', ');
}

/** When a log has something new to say of a copy: every so many ms, or after so much of it. */
const EVERY_MS = 10_000;
const EVERY_SHARE = 0.05;

/** Paces what is said of a long copy in a log. Times in ms, of any clock. */
export class Milestones {
  #saidAt: number;
  #share = 0;

  constructor(now: number) {
    this.#saidAt = now;
  }

  /** Whether it is time to say something; `share` is null where it is not known. */
  due(now: number, share: number | null): boolean {
    // The next copy, or an estimate that grew.
    if (share !== null && share < this.#share) this.#share = share;
    if (now - this.#saidAt < EVERY_MS && (share ?? 0) - this.#share < EVERY_SHARE) return false;
    this.#saidAt = now;
    this.#share = share ?? this.#share;
    return true;
  }
}

/** Notices tables whose copy has come to its end between two looks. */
export class FinishedTables {
  #working = new Set<string>();

  /** A line for each table that was being copied at the last look and is not any more. */
  look(tables: readonly TableStatus[]): string[] {
    const working = tables.filter(({ state }) => state === 'copying' || state === 'indexing').map(({ source }) => source);
    const now = new Set(working);
    const done = tables.filter(({ source, state }) => this.#working.has(source) && !now.has(source) && isCopied(state));
    this.#working = now;
    return done.map(line);
  }
}

function isCopied(state: TableStatus['state']): boolean {
  return state === 'catching_up' || state === 'streaming';
}

function line({ source, snapshot }: TableStatus): string {
  const { rowsCopied, bytesCopied, startedAt, finishedAt } = snapshot;
  const seconds = startedAt === null || finishedAt === null ? null : (Date.parse(finishedAt) - Date.parse(startedAt)) / 1000;
  const took = seconds === null || seconds < 0 ? '' : ` in ${formatSeconds(seconds)}`;
  return `${printable(source)} copied: ${formatCount(rowsCopied)} rows, ${formatBytes(bytesCopied)}${took}`;
}
