import type { Finding } from '../finding.ts';
import type { ProblemCode } from '../problem.ts';
import type { TableValidation } from './validation.ts';
import type { Activity } from './work.ts';
import type { TablePlan } from '../table-plan.ts';

export const PIPELINE_STATES = ['starting', 'copying', 'catching_up', 'streaming', 'paused', 'retrying', 'failed'] as const;
export type PipelineState = (typeof PIPELINE_STATES)[number];

export const TABLE_STATES = ['pending', 'copying', 'indexing', 'catching_up', 'streaming', 'error'] as const;
export type TableState = (typeof TABLE_STATES)[number];

export type RowOp = 'insert' | 'update' | 'delete' | 'truncate';
export type ConflictKind = 'insertExists' | 'updateMissing' | 'deleteMissing';

/** GET /api/v1/status. LSNs are text, counters and byte counts numbers, times RFC 3339. */
export interface Status {
  name: string;
  version: string;
  state: PipelineState;
  since: string;
  summary: string;
  source: { connected: boolean; serverVersion: string | null; database: string | null; walEnd: string | null };
  target: { connected: boolean; serverVersion: string | null; database: string | null };
  slot: {
    name: string;
    active: boolean;
    walStatus: string | null;
    retainedBytes: number | null;
    limitBytes: number | null;
  } | null;
  position: { received: string | null; applied: string | null; acknowledged: string | null };
  lag: { seconds: number | null; bytes: number | null };
  rates: { rowsPerSecond: number; transactionsPerSecond: number };
  totals: Record<RowOp | 'transactions', number>;
  /** Where the last minute went, in parts of 1, and what that means. */
  work: {
    seconds: number;
    shares: Readonly<Record<Activity, number>>;
    queueFull: number;
    bottleneck: Activity | null;
    summary: string;
  };
  tables: { total: number } & Record<TableState, number>;
  /** Null while no table is being copied. */
  copy: CopyProgress | null;
  problems: StatusProblem[];
}

/** Tables that are being copied, together. */
export interface CopyProgress {
  readonly startedAt: string;
  readonly tables: number;
  readonly tablesDone: number;
  readonly rows: number;
  /** Null where the source has no estimate of one of them. */
  readonly rowsEstimated: number | null;
  readonly bytes: number;
  readonly rowsPerSecond: number;
  readonly bytesPerSecond: number;
  /** Part of 1, null where the estimate is missing or proved wrong. */
  readonly share: number | null;
  /** Null before there is enough to tell from. */
  readonly secondsLeft: number | null;
}

export interface StatusProblem {
  code: ProblemCode;
  message: string;
  remedy: string;
  since: string;
  table: string | null;
  /** When it is tried again by itself; null where it is not, or is being tried now. */
  retryAt: string | null;
  /** How often it has happened since it last went well. */
  occurrences: number;
}

/** One of GET /api/v1/tables. */
export interface TableStatus {
  source: string;
  target: string;
  state: TableState;
  identity: 'primary_key' | 'index' | 'full' | 'nothing';
  snapshot: {
    rowsCopied: number;
    rowsEstimated: number | null;
    bytesCopied: number;
    startedAt: string | null;
    finishedAt: string | null;
  };
  applied: Record<RowOp, number>;
  conflicts: Record<ConflictKind, number>;
  spooledBytes: number;
  lastChangeAt: string | null;
  /** The last comparison of both sides that came to an end; `equalAt`: when they were found equal last. Null before any. */
  validation: (TableValidation & { equalAt: string | null }) | null;
  /** What it waits for on the source before it can be copied, or compared; null where it does not. */
  waiting: { message: string; remedy: string; since: string } | null;
  error: { code: ProblemCode; message: string; remedy: string } | null;
}

/** One of GET /api/v1/findings. */
export interface StatusFinding extends Finding {
  readonly since: string;
}

/** GET /api/v1/findings: what a look at both databases found that is no problem, but worth knowing. */
export interface Findings {
  /** Null before the first look. */
  readonly checkedAt: string | null;
  readonly findings: readonly StatusFinding[];
}

/** One of GET /api/v1/events, newest last. */
export interface PipelineEvent {
  id: number;
  at: string;
  level: 'info' | 'warn' | 'error';
  table?: string;
  code: string;
  message: string;
  remedy?: string;
}

/** What the CLI and the API may ask of a running pipeline. Each is durable before its promise resolves. */
export interface PipelineControls {
  pause(by: string): Promise<void>;
  resume(by: string): Promise<void>;
  /** Tables by source name; a Problem says why something is not possible now. Each resolves with what it waits for, or null. */
  addTable(table: string, by: string): Promise<string | null>;
  /** What addTable would come down to; looks at both databases and changes nothing. */
  planTable(table: string): Promise<TablePlan>;
  /** The same of resyncTable. */
  planResync(table: string): Promise<TablePlan>;
  removeTable(table: string, by: string): Promise<string | null>;
  resyncTable(table: string, by: string): Promise<string | null>;
  retryTable(table: string, by: string): Promise<string | null>;
  /** Compares tables on both sides, all that stream where none are named; resolves once it has begun. */
  validate(tables: readonly string[], by: string): Promise<void>;
  /** Ends the comparison under way. */
  cancelValidation(by: string): Promise<void>;
  /** Resolves once the target's sequences are as far as the source's are now, but for those that could not be set. */
  bringSequences(): Promise<SequencesBrought>;
}

/** POST /api/v1/sequences. */
export interface SequencesBrought {
  /** How many are followed. */
  readonly followed: number;
  readonly faults: readonly SequenceFault[];
}

/** What stands in the way of one sequence. */
export interface SequenceFault {
  /** `schema.table` on the source, which takes values from it. */
  readonly table: string;
  readonly message: string;
  readonly remedy: string;
}
