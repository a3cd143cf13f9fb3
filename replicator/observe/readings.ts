export type Role = 'source' | 'target';

/** Where an error happened, for errors_total. */
export const STAGES = ['source', 'target', 'decode', 'apply', 'snapshot', 'catalog', 'heartbeat', 'pipeline'] as const;
export type Stage = (typeof STAGES)[number];

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
  /** When all this was read, ms since 1970. */
  readonly readAtMs: number;
}

/** Numbers that only metrics read. */
export interface Counters {
  receivedBytes: number;
  backpressureMs: number;
  errors: Map<string, number>;
  reconnects: Record<Role, number>;
}
