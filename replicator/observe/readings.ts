export type Role = 'source' | 'target';

/** Where an error happened, for errors_total. */
export const STAGES = ['source', 'target', 'decode', 'apply', 'snapshot', 'catalog', 'heartbeat', 'pipeline'] as const;
export type Stage = (typeof STAGES)[number];

/** What an error means: it may pass by itself, somebody has to act, or one table stands aside. For errors_by_class_total. */
export const ERROR_CLASSES = ['transient', 'permanent', 'data'] as const;
export type ErrorClass = (typeof ERROR_CLASSES)[number];

export interface SlotReading {
  readonly name: string;
  readonly active: boolean;
  readonly walStatus: string | null;
  readonly retainedBytes: number | null;
  /** max_slot_wal_keep_size in bytes, null when unlimited. */
  readonly limitBytes: number | null;
  /** pg_replication_slots.safe_wal_size, null when unlimited or lost. */
  readonly safeBytes: number | null;
  /** When the oldest transaction on the source began, ms since 1970; null when there is none. */
  readonly oldestTransactionMs: number | null;
  /** pg_stat_replication_slots.spill_bytes; null where the server keeps none. */
  readonly spilledBytes: number | null;
  /** How far the source's clock is ahead of ours, ms. */
  readonly clockAheadMs: number;
  /** When all this was read, ms since 1970. */
  readonly readAtMs: number;
}

/** Numbers that only metrics read. */
export interface Counters {
  errors: Map<Stage, number>;
  errorClasses: Record<ErrorClass, number>;
  reconnects: Record<Role, number>;
}
