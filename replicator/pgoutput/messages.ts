import type { Lsn } from '../postgres/lsn.ts';
import type { Oid } from '../postgres/oid.ts';

/** How one column of a tuple is sent; https://www.postgresql.org/docs/current/protocol-logicalrep-message-formats.html */
export const COLUMN = { null: 0x6e, unchangedToast: 0x75, text: 0x74, binary: 0x62 } as const;

/**
 * One row's columns as they were received: each a kind byte and, for text and binary, an int32 length and the bytes.
 * `data` is ours for as long as the tuple lives; the columns lie in [start, end).
 */
export interface Tuple {
  readonly data: Buffer;
  /** The same bytes: numbers are read from it, and copied by it, several times faster than by a Buffer's methods. */
  readonly view: DataView;
  readonly start: number;
  readonly end: number;
  readonly columns: number;
  /** At least one column is unchanged TOAST, whose value was not sent. */
  readonly partial: boolean;
}

export interface StreamColumn {
  readonly name: string;
  /** Part of the replica identity. Under FULL every column is. */
  readonly identity: boolean;
  /** As on the source; that of a domain is the domain's own. */
  readonly typeOid: Oid;
  readonly typmod: number;
  /** What the source calls the type, or the one behind a domain, at that time; absent for built-in types. */
  readonly base?: TypeName;
}

/** As the source has it, unquoted. */
export interface TypeName {
  readonly schema: string;
  readonly name: string;
}

/** A relation as the stream describes it before its first row and again after every change of it. */
export interface StreamRelation {
  readonly oid: Oid;
  readonly schema: string;
  readonly name: string;
  readonly replicaIdentity: 'default' | 'index' | 'full' | 'nothing';
  readonly columns: readonly StreamColumn[];
}

/** The old row of an UPDATE or DELETE: only the key columns count under `key`, all of them under `full`. */
export interface OldRow {
  readonly kind: 'key' | 'full';
  readonly tuple: Tuple;
}

export interface InsertMessage {
  readonly kind: 'insert';
  readonly relation: StreamRelation;
  readonly row: Tuple;
}

export interface UpdateMessage {
  readonly kind: 'update';
  readonly relation: StreamRelation;
  /** Null when the key did not change and the identity is not FULL: the key is then in `row`. */
  readonly old: OldRow | null;
  readonly row: Tuple;
}

export interface DeleteMessage {
  readonly kind: 'delete';
  readonly relation: StreamRelation;
  readonly old: OldRow;
}

/** One TRUNCATE statement: all tables of the group at once. */
interface TruncateMessage {
  readonly kind: 'truncate';
  readonly relations: readonly StreamRelation[];
  readonly restartIdentity: boolean;
}

/** What changes rows. */
export type Change = InsertMessage | UpdateMessage | DeleteMessage | TruncateMessage;

interface BeginMessage {
  readonly kind: 'begin';
  readonly finalLsn: Lsn;
  readonly committedAtMs: number;
  readonly xid: number;
}

interface CommitMessage {
  readonly kind: 'commit';
  readonly commitLsn: Lsn;
  /** The position to store and acknowledge: the first byte after the commit record. */
  readonly endLsn: Lsn;
  readonly committedAtMs: number;
}

/** pg_logical_emit_message(). */
interface LogicalMessage {
  readonly kind: 'message';
  readonly transactional: boolean;
  readonly prefix: string;
  readonly content: string;
}

/** The transaction came to the source by replication from elsewhere. */
interface OriginMessage {
  readonly kind: 'origin';
  readonly name: string;
}

/** Tells the decoder something and carries nothing further. */
interface DescriptionMessage {
  readonly kind: 'description';
}

/** A stretch of a transaction that is still in progress on the source begins. */
interface StreamStartMessage {
  readonly kind: 'stream start';
  /** The top-level transaction's. */
  readonly xid: number;
}

interface StreamStopMessage {
  readonly kind: 'stream stop';
}

/** A transaction that came in stretches is committed now, at this place among the others. */
interface StreamCommitMessage {
  readonly kind: 'stream commit';
  readonly xid: number;
  readonly commitLsn: Lsn;
  readonly endLsn: Lsn;
  readonly committedAtMs: number;
}

/** A transaction that came in stretches is undone, or one of its subtransactions (then the xids differ). */
interface StreamAbortMessage {
  readonly kind: 'stream abort';
  readonly xid: number;
  readonly subxid: number;
}

/**
 * What a stretch holds, not read yet: what it means is known once the transaction commits. Without its transaction ID
 * it is the message `code` followed by data[start, end), as outside a stretch.
 */
export interface StreamedMessage {
  readonly kind: 'streamed';
  /** Of the subtransaction, or the transaction itself. */
  readonly subxid: number;
  readonly code: number;
  readonly data: Buffer;
  readonly start: number;
  readonly end: number;
}

/** What there is of transactions in progress. */
export type StreamMessage = StreamStartMessage | StreamStopMessage | StreamCommitMessage | StreamAbortMessage | StreamedMessage;

/** What comes once a transaction is committed. */
export type WholeMessage = BeginMessage | CommitMessage | OriginMessage | LogicalMessage | DescriptionMessage | Change;

export type Message = WholeMessage | StreamMessage;
