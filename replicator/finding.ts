import type { Problem, ProblemCode } from './problem.ts';

/** What a look at a database or a configuration found, without changing anything. */
export interface Finding {
  readonly code: FindingCode | ProblemCode;
  readonly level: 'ok' | 'warning' | 'error';
  readonly where: 'config' | 'network' | 'source' | 'target';
  /** `schema.table` on the source, where the finding concerns one table. */
  readonly table: string | null;
  readonly message: string;
  /** What to do about it, with the SQL or the setting; null where nothing needs doing. */
  readonly remedy: string | null;
}

/** Every check, and in one line what it looks at. The table in the documentation is generated from this. */
export const FINDING_CODES = {
  CONFIG: 'The configuration is complete and valid.',
  HTTP_OPEN: 'Whether others than this machine may use page and API without a token.',
  PASSWORD_FILE: 'Whether others may read the password file.',
  TABLES: 'The tables that are followed.',
  TABLE_MAP: 'An entry of tables.map that has no effect, is there twice, or names no table.',
  TABLE_COLLISION: 'Two tables that would fill the same target table.',
  PARTITION_EXCLUDED: 'A partition that is excluded while its partitioned table is followed as a whole.',
  NOT_IN_WAL: 'A table that matches but is unlogged or temporary, so nothing of it is in the WAL.',
  NOT_A_TABLE: 'A foreign table or materialized view that matches: no change of it can be followed.',
  CONNECTION: 'Whether the server answers, which one it is, and how long an answer takes.',
  ENCRYPTION: 'Whether the connection is encrypted.',
  CLOCK: 'How far the clock of the server is from the one here.',
  REPLICATION_CONNECTION: 'Whether the source takes a replication connection from here.',
  SOURCE_VERSION: 'The version of the source: 14 is the oldest.',
  SOURCE_STANDBY: 'Whether the source is a standby that cannot be followed so.',
  WAL_LEVEL: 'wal_level of the source.',
  REPLICATION_ROLE: "Whether the source's role may replicate.",
  FREE_SLOTS: 'Free replication slots on the source.',
  FREE_WAL_SENDERS: 'Free WAL senders on the source.',
  WAL_SENDER_TIMEOUT: 'How soon the source gives up a connection that is silent.',
  SLOT_WAL_LIMIT: 'How much WAL the slot may keep (max_slot_wal_keep_size).',
  SLOT_IDLE_TIMEOUT: 'Whether the source gives up slots that nobody reads (idle_replication_slot_timeout).',
  DECODING_MEMORY: 'Memory for decoding on the source (logical_decoding_work_mem).',
  HOT_STANDBY_FEEDBACK: 'Whether a standby that is followed holds back the vacuum of its primary.',
  LONG_TRANSACTION: 'Transactions of the source that have been open for long.',
  PREPARED_TRANSACTION: 'Prepared transactions of the source that nobody has ended.',
  EMIT_MESSAGE: "Whether the source's role may write messages into the WAL, as the heartbeat does.",
  SYNCHRONOUS_STANDBY: "Whether the source's role sees which commits wait for a synchronous standby.",
  SLOT: 'The slot of the pipeline: there or not, and how it is.',
  PUBLICATION: 'The publication: whether it can be made, changed and used.',
  PUBLISHED_OPERATIONS: 'Operations that a publication used as it is does not publish.',
  PARTITION_ROOT: 'Whether a publication used as it is publishes partitions as the configuration says.',
  READ_TABLES: "Whether the source's role may read the tables.",
  OWN_TABLES: "Whether the source's role may put the tables into the publication.",
  ROW_SECURITY: 'Row level security that would hide rows from the role.',
  EVENT_TRIGGERS: 'Event triggers that fire for what pgfollow does in a database.',
  REPLICA_IDENTITY: 'How rows of each table are found again on the target.',
  FULL_IDENTITY_TOAST: 'A table whose every UPDATE and DELETE writes its large values to the WAL again.',
  LARGE_OBJECTS: 'Large objects in the source: they are not in the stream.',
  SAME_DATABASE: 'Whether source and target are two databases.',
  TARGET_VERSION: 'The version of the target: 14 is the oldest.',
  TARGET_READ_ONLY: 'Whether the target can be written: no standby, not set read-only.',
  METADATA: 'Schema pgfollow on the target: there, of this version, or whether it can be made.',
  PIPELINE: 'Whether a pipeline of this name is at work, and where it stands.',
  SESSION_REPLICATION_ROLE: "Whether the target's role may set session_replication_role.",
  REPLICATION_ORIGIN: "Whether the target's role may use replication origins.",
  WRITE_TABLES: "Whether the target's role may write the tables.",
  TARGET_OWNER: "Whether the target's role owns the tables: TRUNCATE … RESTART IDENTITY and ANALYZE want that.",
  TARGET_TABLES: 'Whether every table has a target table that can take its rows.',
  CREATE_TABLES: 'Whether target tables that are missing can be created.',
  TARGET_INDEX: 'A target table without the index by which rows are found.',
  TARGET_TRIGGERS: 'Triggers and foreign keys of the target that act on replicated rows.',
  SEQUENCES: 'Columns with a sequence on the source, and whether they have one on the target.',
  EXISTING_ROWS: 'Target tables that hold rows before the first copy.',
  ENCODING: 'Whether the target can hold every character of the source.',
  COLLATION: 'Whether both databases sort text the same way.',
  COLLATION_VERSION: 'Whether the indexes of a database were built with the collations that it has now.',
  LEFT_OUT: 'What is around tables that were created on the target, and was not created with them.',
  EXTENSION: 'An extension of the source that the target lacks.',
  TYPE_DIFFERENCE: 'An enum or domain that is not the same on both sides.',
  DISK: 'Room on the disk of the target, where that can be seen from here.',
  CHECK_FAILED: 'A check that could not be made, and why.',
} as const satisfies Record<string, string>;

export type FindingCode = keyof typeof FINDING_CODES;

/** Nothing needs doing. */
export function fine(where: Finding['where'], code: FindingCode, message: string): Finding {
  return { code, level: 'ok', where, table: null, message, remedy: null };
}

/** Something that needs a look, or that stands in the way. */
export function complaint(
  level: 'warning' | 'error',
  where: Finding['where'],
  code: Finding['code'],
  said: { message: string; remedy: string; table?: string | null },
): Finding {
  return { code, level, where, table: said.table ?? null, message: said.message, remedy: said.remedy };
}

/** A Problem that would stop the pipeline, or one of its tables. */
export function ofProblem(where: Finding['where'], problem: Problem): Finding {
  return complaint('error', where, problem.code, problem);
}
