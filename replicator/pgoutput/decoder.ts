import type { Oid } from '../postgres/oid.ts';
import { Problem } from '../problem.ts';
import { DescribedRelations } from './described-relations.ts';
import { invalidStream } from './invalid-stream.ts';
import { MessageReader } from './message-reader.ts';
import type { Message, OldRow, StreamColumn, StreamRelation, TypeName } from './messages.ts';

const BEGIN = 0x42;
const COMMIT = 0x43;
const DELETE = 0x44;
const INSERT = 0x49;
const LOGICAL_MESSAGE = 0x4d;
const ORIGIN = 0x4f;
/** Relation: what a table looks like from here on. */
export const RELATION = 0x52;
const STREAM_ABORT = 0x41;
const STREAM_COMMIT = 0x63;
const STREAM_START = 0x53;
const STREAM_STOP = 0x45;
const TRUNCATE = 0x54;
/** Type: what a column's type is called, ahead of the Relation that has it. */
export const TYPE = 0x59;
const UPDATE = 0x55;

const NEW_TUPLE = 0x4e;
const OLD_KEY = 0x4b;
const OLD_FULL = 0x4f;

const TRUNCATE_RESTART_IDENTITY = 2;

const IDENTITIES: Readonly<Record<number, StreamRelation['replicaIdentity']>> = {
  0x64: 'default',
  0x69: 'index',
  0x66: 'full',
  0x6e: 'nothing',
};

/** Messages that carry the ID of their (sub)transaction while that is in progress. */
const IN_STRETCHES: ReadonlySet<number> = new Set([INSERT, UPDATE, DELETE, TRUNCATE, RELATION, TYPE, LOGICAL_MESSAGE]);

const DESCRIPTION: Message = { kind: 'description' };

/**
 * Turns pgoutput's bytes (protocol versions 1 and 2) into messages. One decoder a connection: it remembers the relations
 * that the stream has described, each replaced as a whole when it is described again. One more for each transaction that
 * came in stretches, which describes its relations itself.
 * https://www.postgresql.org/docs/current/protocol-logicalrep-message-formats.html
 */
export class Decoder {
  readonly #relations: DescribedRelations;
  /** As they were described last. */
  readonly #types = new Map<Oid, TypeName>();
  readonly #reader = new MessageReader();
  /** Between Stream Start and Stream Stop. */
  #inStretch = false;

  /** Relations that are described as `like` knows them are the same objects: what is derived from them is kept by that. */
  constructor(like: Decoder | null = null) {
    this.#relations = new DescribedRelations(like && like.#relations);
  }

  /**
   * Decodes one message, data[start, end). Its rows stay slices of `data`, which nobody may write over while they live.
   * Throws STREAM_INVALID on anything that is not pgoutput.
   */
  decode(data: Buffer, start = 0, end = data.length): Message {
    const reader = this.#reader;
    reader.open(data, start + 1, end);
    const code = start < end ? data[start] : undefined;
    try {
      const message = this.#message(code, reader);
      reader.close();
      return message;
    } catch (error) {
      if (error instanceof Problem) throw error;
      throw invalidStream(
        `message ${code === undefined ? '(empty)' : `0x${code.toString(16)}`} of ${end - start} bytes: ${String(error)}`,
        error,
      );
    }
  }

  /** As it was described last. */
  relation(oid: Oid): StreamRelation | undefined {
    return this.#relations.get(oid);
  }

  #message(code: number | undefined, reader: MessageReader): Message {
    if (this.#inStretch && code !== undefined && IN_STRETCHES.has(code)) return this.#streamed(code, reader);
    switch (code) {
      case INSERT:
        return this.#insert(reader);
      case UPDATE:
        return this.#update(reader);
      case DELETE:
        return this.#delete(reader);
      case BEGIN:
        return this.#begin(reader);
      case COMMIT:
        return this.#commit(reader);
      case RELATION:
        return this.#relation(reader);
      case TYPE:
        return this.#type(reader);
      case TRUNCATE:
        return this.#truncate(reader);
      case LOGICAL_MESSAGE:
        return this.#logicalMessage(reader);
      case ORIGIN:
        return this.#origin(reader);
      case STREAM_START:
        return this.#streamStart(reader);
      case STREAM_STOP:
        return this.#streamStop();
      case STREAM_COMMIT:
        return this.#streamCommit(reader);
      case STREAM_ABORT:
        return { kind: 'stream abort', xid: reader.uint32(), subxid: reader.uint32() };
      default:
        throw new RangeError('unknown message type');
    }
  }

  // Begin: int64 final LSN, int64 commit time in µs since 2000, int32 xid.
  #begin(reader: MessageReader): Message {
    return { kind: 'begin', finalLsn: reader.lsn(), committedAtMs: reader.timestamp(), xid: reader.uint32() };
  }

  // Commit: int8 flags (unused), int64 commit LSN, int64 end LSN, int64 commit time.
  #commit(reader: MessageReader): Message {
    reader.byte();
    return { kind: 'commit', commitLsn: reader.lsn(), endLsn: reader.lsn(), committedAtMs: reader.timestamp() };
  }

  // Stream Start: int32 xid, int8 1 for the first stretch of this transaction.
  #streamStart(reader: MessageReader): Message {
    if (this.#inStretch) throw new RangeError('a stretch inside a stretch');
    this.#inStretch = true;
    const xid = reader.uint32();
    reader.byte();
    return { kind: 'stream start', xid };
  }

  // Stream Stop: nothing.
  #streamStop(): Message {
    if (!this.#inStretch) throw new RangeError('the end of no stretch');
    this.#inStretch = false;
    return { kind: 'stream stop' };
  }

  // Stream Commit: int32 xid, and what Commit has.
  #streamCommit(reader: MessageReader): Message {
    const xid = reader.uint32();
    reader.byte();
    return {
      kind: 'stream commit',
      xid,
      commitLsn: reader.lsn(),
      endLsn: reader.lsn(),
      committedAtMs: reader.timestamp(),
    };
  }

  // In a stretch: the message byte, int32 xid, and what the message has outside.
  #streamed(code: number, reader: MessageReader): Message {
    const subxid = reader.uint32();
    const { data, start, end } = reader.rest();
    return { kind: 'streamed', subxid, code, data, start, end };
  }

  // Origin: int64 LSN of the commit there, string name.
  #origin(reader: MessageReader): Message {
    reader.lsn();
    return { kind: 'origin', name: reader.string() };
  }

  // Relation: int32 OID, string schema (empty for pg_catalog), string name, int8 identity, int16 columns, each with
  // int8 flags (1: in the identity), string name, int32 type OID, int32 type modifier.
  #relation(reader: MessageReader): Message {
    const oid = reader.uint32();
    const schema = reader.string() || 'pg_catalog';
    const name = reader.string();
    const replicaIdentity = IDENTITIES[reader.byte()];
    if (!replicaIdentity) throw new RangeError('unknown replica identity');
    const columns: StreamColumn[] = [];
    for (let left = reader.count16(); left > 0; left--) {
      const identity = (reader.byte() & 1) === 1;
      const column = { identity, name: reader.string(), typeOid: reader.uint32(), typmod: reader.int32() };
      const base = this.#types.get(column.typeOid);
      columns.push(base ? { ...column, base } : column);
    }
    this.#relations.describe({ oid, schema, name, replicaIdentity, columns });
    return DESCRIPTION;
  }

  // Type: int32 OID, string schema (empty for pg_catalog), string name; those of the type behind it for a domain. It comes
  // ahead of each Relation that has such a column.
  #type(reader: MessageReader): Message {
    this.#types.set(reader.uint32(), { schema: reader.string() || 'pg_catalog', name: reader.string() });
    return DESCRIPTION;
  }

  // Insert: int32 relation, 'N', tuple.
  #insert(reader: MessageReader): Message {
    const relation = this.#relations.known(reader.uint32());
    reader.expect(NEW_TUPLE);
    return { kind: 'insert', relation, row: reader.tuple(relation.columns.length) };
  }

  // Update: int32 relation, optionally 'K' or 'O' and the old tuple, 'N', tuple.
  #update(reader: MessageReader): Message {
    const relation = this.#relations.known(reader.uint32());
    const first = reader.byte();
    if (first === NEW_TUPLE) return { kind: 'update', relation, old: null, row: reader.tuple(relation.columns.length) };
    const old = this.#oldRow(first, relation, reader);
    reader.expect(NEW_TUPLE);
    return { kind: 'update', relation, old, row: reader.tuple(relation.columns.length) };
  }

  // Delete: int32 relation, 'K' or 'O', tuple.
  #delete(reader: MessageReader): Message {
    const relation = this.#relations.known(reader.uint32());
    const kind = reader.byte();
    return { kind: 'delete', relation, old: this.#oldRow(kind, relation, reader) };
  }

  // Truncate: int32 count, int8 options (1 CASCADE, 2 RESTART IDENTITY), int32 relation each. CASCADE has already
  // been resolved on the source: the list names every table that it reached.
  #truncate(reader: MessageReader): Message {
    const count = reader.count32();
    const options = reader.byte();
    const relations: StreamRelation[] = [];
    for (let left = count; left > 0; left--) relations.push(this.#relations.known(reader.uint32()));
    return { kind: 'truncate', relations, restartIdentity: (options & TRUNCATE_RESTART_IDENTITY) !== 0 };
  }

  // Message: int8 flags (1 transactional), int64 LSN, string prefix, int32 length, bytes.
  #logicalMessage(reader: MessageReader): Message {
    const transactional = (reader.byte() & 1) === 1;
    reader.lsn();
    const prefix = reader.string();
    return { kind: 'message', transactional, prefix, content: reader.text(reader.count32()) };
  }

  #oldRow(kind: number, relation: StreamRelation, reader: MessageReader): OldRow {
    if (kind !== OLD_KEY && kind !== OLD_FULL) throw new RangeError(`unknown tuple kind ${kind}`);
    return { kind: kind === OLD_FULL ? 'full' : 'key', tuple: reader.tuple(relation.columns.length) };
  }
}
