/**
 * The one error class of pgfollow: what happened, why, and what to do.
 * `retry` says whether trying again without anybody's help can succeed.
 */
export class Problem extends Error {
  readonly code: ProblemCode;
  /** What the operator should do, with the SQL or the command. */
  readonly remedy: string;
  /** `transient`: try again by ourselves. `permanent`: stop until somebody acts. */
  readonly retry: 'transient' | 'permanent';
  /** `schema.table` on the source, where the problem concerns one table. */
  readonly table: string | null;

  constructor(
    code: ProblemCode,
    message: string,
    options: { remedy: string; retry?: 'transient' | 'permanent'; table?: string; cause?: unknown },
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'Problem';
    this.code = code;
    this.remedy = options.remedy;
    this.retry = options.retry ?? 'permanent';
    this.table = options.table ?? null;
  }
}

/** Every code, and in one line what it means. The table in the documentation is generated from this. */
export const PROBLEM_CODES = {
  CONFIG_INVALID: 'The configuration has errors; all of them are listed, each with its path.',
  SOURCE_UNREACHABLE:
    'The source does not answer, or a firewall or a proxy has forgotten a connection to it. Tried again for ever, with backoff.',
  TARGET_UNREACHABLE:
    'The target does not answer, or a firewall or a proxy has forgotten a connection to it. Tried again for ever, with backoff.',
  SOURCE_UNSUITABLE: 'The source cannot be followed as it is set up (wal_level, version, free slots, role).',
  TARGET_UNSUITABLE: 'The target cannot take the changes as it is set up (version, role, read-only).',
  TARGET_LOCKED: 'A batch has waited for some seconds for a lock that another session of the target holds.',
  TARGET_STANDBY_AWAITED: 'The target waits for its synchronous standby, so what is applied is not acknowledged to the source.',
  SAME_DATABASE: 'Source and target are the same database.',
  PIPELINE_LOCKED: 'Another pgfollow with this name is working on this target.',
  METADATA_NEWER: 'The metadata on the target was written by a newer pgfollow.',
  FOREIGN_CHECKPOINT: 'The checkpoint on the target belongs to another source server or database.',
  SLOT_MISSING: 'The replication slot is gone, but the target holds a checkpoint that needs it.',
  SLOT_AHEAD: 'The slot has moved past the checkpoint: changes in between can no longer be read.',
  SLOT_LOST: 'The source has removed WAL that the slot still needed (wal_status lost).',
  SLOT_FOREIGN: 'A slot of this name exists that this pipeline did not create, or that another plugin uses.',
  SLOT_IN_USE: 'Another process is reading from the slot.',
  SLOT_WAITING: 'Creating the slot waits for transactions that are older than it.',
  SLOT_UNSETTLED: 'Relations of the source were changed during each creation of the slot.',
  PUBLICATION_MISSING:
    'A publication that is to be used as it is does not exist, or `publication.managed` has become true and there is none of pgfollow.',
  NO_TABLES: 'No table matches tables.include.',
  TABLE_NOT_PUBLISHABLE: 'Publishing this table would make writes on the source fail, so it stays out.',
  TARGET_TABLE_MISSING: 'The target table does not exist.',
  SCHEMA_NOT_CREATED: 'The target table does not exist, and it could not be created.',
  FOREIGN_KEY_NOT_CREATED: 'The target refuses a foreign key of a table that pgfollow has created; the table goes without it.',
  TARGET_COLUMN_MISSING: 'The target table lacks a column of the source table.',
  TARGET_COLUMN_TYPE: 'The target column has a type that the source column cannot be cast to.',
  TYPE_EXCHANGED:
    'Changes that are still on their way are of a type that a column has no longer, and cannot be read as the type of now.',
  VALUE_NOT_SENT: 'The source has left out a long value of a row that came to fit the row filter.',
  TARGET_TABLE_NOT_EMPTY: 'The target table already holds rows and snapshot.existingRows is error.',
  ROW_FILTER_UNSUPPORTED: 'Row filters need PostgreSQL 15 or newer on the source.',
  COPY_FAILED: 'The initial copy of this table failed.',
  SNAPSHOT_LOST: 'The connection that held the snapshot of a copy was lost: what was left of it is copied as of another one.',
  TABLE_REWRITTEN:
    'A table was written anew or emptied on the source before its copy had read it: it is copied as of a later state.',
  APPLY_FAILED: 'The target refused a change that the source had accepted.',
  ROW_MISSING: 'An UPDATE or DELETE found no row on the target.',
  ROW_EXISTS: 'An INSERT found its key already on the target.',
  SEQUENCE_NOT_SET: 'A sequence that a followed table takes values from could not be brought over.',
  ROWS_DIFFER: 'A comparison of both sides found rows that differ.',
  STREAM_INVALID: 'The source sent something that the decoder does not know.',
  SPILL_FAILED: 'There is no room on disk for the parts of transactions in progress: the stream begins again without them.',
  CHECKPOINT_LOST: 'The checkpoint changed under us: another writer, or the target was restored.',
  PORT_IN_USE: 'Another process listens on the address for HTTP.',
  SOURCE_TABLE_MISSING: 'There is no table of this name on the source.',
  NOT_POSSIBLE_NOW: 'A command that does not fit the present state.',
  NOT_IMPLEMENTED: 'This version cannot do that; the remedy says what to do instead.',
  INTERNAL: 'A fault in pgfollow itself.',
} as const satisfies Record<string, string>;

export type ProblemCode = keyof typeof PROBLEM_CODES;

/** For the end of an exhaustive switch: the compiler refuses a case that was forgotten. */
export function unreachable(value: never): never {
  throw new Problem('INTERNAL', `unexpected value ${JSON.stringify(value)}`, { remedy: 'Please report this.' });
}
