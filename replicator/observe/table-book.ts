import type { ProblemCode } from '../problem.ts';
import type { TableValidation } from './validation.ts';
import type { ConflictKind, RowOp, Status, TableState, TableStatus } from './status.ts';

export type TableError = NonNullable<TableStatus['error']>;
export type RowCounts = Record<RowOp, number>;

/** What the pipeline knows of a table when it starts to follow it. Times in ms since 1970. */
export interface TableListing {
  readonly source: string;
  readonly target: string;
  readonly identity: TableStatus['identity'];
  readonly state: TableState;
  readonly rowsEstimated: number | null;
  readonly rowsCopied?: number | undefined;
  readonly bytesCopied?: number | undefined;
  readonly copyStartedAt?: number | null | undefined;
  readonly copyFinishedAt?: number | null | undefined;
  readonly error?: { code: ProblemCode; message: string; remedy: string } | null | undefined;
}

/** What the page shows of a table beside its status. */
export interface TableFacts {
  /** When it came into its state, as far as this process knows; ms since 1970. */
  readonly sinceMs: number;
  /** Row changes a second, newer ones counting more: half of what it shows is of the last seven seconds. */
  readonly rowsPerSecond: number;
}

/** A rate forgets like this: after so many ms a change counts 1/e of what it did. */
const RATE_DECAY_MS = 10_000;

interface Entry {
  readonly status: TableStatus;
  sinceMs: number;
  rate: { perSecond: number; atMs: number };
  /** Rows and bytes of copies before the running one: what counters need to never fall. */
  copiedBefore: { rows: number; bytes: number };
}

/** Every followed table with its counters, by its source name. */
export class TableBook {
  readonly #now: () => number;
  #entries = new Map<string, Entry>();

  /** `now`: ms since 1970. */
  constructor(now: () => number) {
    this.#now = now;
  }

  /** The set of followed tables. Counters of those that stay, stay. */
  list(listings: Iterable<TableListing>): void {
    const nowMs = this.#now();
    const next = new Map<string, Entry>();
    for (const listing of listings) next.set(listing.source, entryOf(listing, this.#entries.get(listing.source), nowMs));
    this.#entries = next;
  }

  get(source: string): TableStatus | undefined {
    return this.#entries.get(source)?.status;
  }

  all(): TableStatus[] {
    return Array.from(this.#entries.values(), (entry) => entry.status);
  }

  facts(source: string): TableFacts {
    const nowMs = this.#now();
    const entry = this.#entries.get(source);
    if (!entry) return { sinceMs: nowMs, rowsPerSecond: 0 };
    return { sinceMs: entry.sinceMs, rowsPerSecond: decayed(entry.rate, nowMs) };
  }

  /** `error` is kept only in the state `error`. */
  state(source: string, state: TableState, error?: TableError | null): void {
    const entry = this.#entries.get(source);
    if (!entry) return;
    const { status } = entry;
    if (status.state !== state) entry.sinceMs = this.#now();
    status.state = state;
    status.error = state === 'error' ? (error ?? status.error) : null;
  }

  copyStarted(source: string): void {
    const entry = this.#entries.get(source);
    if (!entry) return;
    const { snapshot } = entry.status;
    entry.copiedBefore = {
      rows: entry.copiedBefore.rows + snapshot.rowsCopied,
      bytes: entry.copiedBefore.bytes + snapshot.bytesCopied,
    };
    snapshot.rowsCopied = 0;
    snapshot.bytesCopied = 0;
    snapshot.startedAt = iso(this.#now());
    snapshot.finishedAt = null;
  }

  /** Rows and bytes of the running copy so far, not since the last call. */
  copyProgress(source: string, rows: number, bytes: number): void {
    const snapshot = this.#entries.get(source)?.status.snapshot;
    if (!snapshot) return;
    snapshot.rowsCopied = rows;
    snapshot.bytesCopied = bytes;
  }

  copyFinished(source: string, rows: number, bytes: number): void {
    const snapshot = this.#entries.get(source)?.status.snapshot;
    if (!snapshot) return;
    this.copyProgress(source, rows, bytes);
    const at = iso(this.#now());
    snapshot.startedAt ??= at;
    snapshot.finishedAt = at;
  }

  applied(source: string, counts: RowCounts, atMs: number): void {
    const entry = this.#entries.get(source);
    if (!entry) return;
    const { status } = entry;
    const rows = counts.insert + counts.update + counts.delete;
    entry.rate = { perSecond: decayed(entry.rate, atMs) + (rows * 1000) / RATE_DECAY_MS, atMs };
    status.applied.insert += counts.insert;
    status.applied.update += counts.update;
    status.applied.delete += counts.delete;
    status.applied.truncate += counts.truncate;
    status.lastChangeAt = iso(atMs);
  }

  conflict(source: string, kind: ConflictKind, count: number): void {
    const status = this.#entries.get(source)?.status;
    if (status) status.conflicts[kind] += count;
  }

  spooled(source: string, bytes: number): void {
    const status = this.#entries.get(source)?.status;
    if (status) status.spooledBytes = bytes;
  }

  /** A comparison came to an end; null: what the last one found is over. `equalBefore`: as an earlier process knew it. */
  validated(source: string, validation: TableValidation | null, equalBefore: string | null = null): void {
    const status = this.#entries.get(source)?.status;
    if (!status) return;
    const equalAt = validation?.state === 'equal' ? validation.finishedAt : (equalBefore ?? status.validation?.equalAt ?? null);
    status.validation = validation && { ...validation, equalAt };
  }

  /** What keeps it from being copied, or compared, for now; null: nothing any more. */
  waits(source: string, wait: { message: string; remedy: string } | null): void {
    const status = this.#entries.get(source)?.status;
    if (status) status.waiting = wait && { ...wait, since: status.waiting?.since ?? iso(this.#now()) };
  }

  /** How many there are, in each state. */
  counts(): Status['tables'] {
    const counts = { total: 0, pending: 0, copying: 0, indexing: 0, catching_up: 0, streaming: 0, error: 0 };
    for (const { status } of this.#entries.values()) {
      counts.total += 1;
      counts[status.state] += 1;
    }
    return counts;
  }

  /** Copied in all copies together, for counters. */
  copiedTotals(source: string): { rows: number; bytes: number } {
    const entry = this.#entries.get(source);
    if (!entry) return { rows: 0, bytes: 0 };
    const { rowsCopied, bytesCopied } = entry.status.snapshot;
    return { rows: entry.copiedBefore.rows + rowsCopied, bytes: entry.copiedBefore.bytes + bytesCopied };
  }
}

function decayed({ perSecond, atMs }: Entry['rate'], nowMs: number): number {
  return perSecond * Math.exp(-Math.max(0, nowMs - atMs) / RATE_DECAY_MS);
}

function entryOf(listing: TableListing, known: Entry | undefined, nowMs: number): Entry {
  const before = known?.status;
  return {
    sinceMs: known && known.status.state === listing.state ? known.sinceMs : nowMs,
    rate: known?.rate ?? { perSecond: 0, atMs: nowMs },
    copiedBefore: known?.copiedBefore ?? { rows: 0, bytes: 0 },
    status: {
      source: listing.source,
      target: listing.target,
      state: listing.state,
      identity: listing.identity,
      snapshot: {
        rowsCopied: listing.rowsCopied ?? before?.snapshot.rowsCopied ?? 0,
        rowsEstimated: listing.rowsEstimated !== null && listing.rowsEstimated >= 0 ? listing.rowsEstimated : null,
        bytesCopied: listing.bytesCopied ?? before?.snapshot.bytesCopied ?? 0,
        startedAt: listing.copyStartedAt === undefined ? (before?.snapshot.startedAt ?? null) : isoOrNull(listing.copyStartedAt),
        finishedAt:
          listing.copyFinishedAt === undefined ? (before?.snapshot.finishedAt ?? null) : isoOrNull(listing.copyFinishedAt),
      },
      applied: before?.applied ?? { insert: 0, update: 0, delete: 0, truncate: 0 },
      conflicts: before?.conflicts ?? { insertExists: 0, updateMissing: 0, deleteMissing: 0 },
      spooledBytes: before?.spooledBytes ?? 0,
      lastChangeAt: before?.lastChangeAt ?? null,
      validation: before?.validation ?? null,
      waiting: before?.waiting ?? null,
      error: listing.state === 'error' ? (listing.error ?? null) : null,
    },
  };
}

/** One that nobody changes any more. */
export function copyOfTable(status: TableStatus): TableStatus {
  const { snapshot, applied, conflicts, error } = status;
  return {
    ...status,
    snapshot: { ...snapshot },
    applied: { ...applied },
    conflicts: { ...conflicts },
    error: error && { ...error },
  };
}

/** ms since 1970 as RFC 3339 in UTC. */
export function iso(ms: number): string {
  return new Date(ms).toISOString();
}

function isoOrNull(ms: number | null): string | null {
  return ms === null ? null : iso(ms);
}
