import { isDeepStrictEqual } from 'node:util';
import type { Lsn } from '../postgres/lsn.ts';
import type { Oid } from '../postgres/oid.ts';
import { Problem } from '../problem.ts';
import type { Message, OldRow, StreamColumn, StreamRelation, Tuple } from './messages.ts';
import { COLUMN } from './messages.ts';

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
const TYPE = 0x59;
const UPDATE = 0x55;

const NEW_TUPLE = 0x4e;
const OLD_KEY = 0x4b;
const OLD_FULL = 0x4f;

const TRUNCATE_RESTART_IDENTITY = 2;

/** Milliseconds from 1970-01-01, where JavaScript counts from, to 2000-01-01, where PostgreSQL does. */
const POSTGRES_EPOCH_MS = 946_684_800_000;

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
  readonly #relations = new Map<Oid, StreamRelation>();
  readonly #like: Decoder | null;
  /** Between Stream Start and Stream Stop. */
  #inStretch = false;
  #data: Buffer = Buffer.alloc(0);
  #view: DataView = new DataView(new ArrayBuffer(0));
  /** Most rows are of the relation that the row before was of. */
  #last: StreamRelation | undefined;
  #at = 0;
  #end = 0;

  /** Relations that are described as `like` knows them are the same objects: what is derived from them is kept by that. */
  constructor(like: Decoder | null = null) {
    this.#like = like;
  }

  /**
   * Decodes one message, data[start, end). Its rows stay slices of `data`, which nobody may write over while they live.
   * Throws STREAM_INVALID on anything that is not pgoutput.
   */
  decode(data: Buffer, start = 0, end = data.length): Message {
    if (data !== this.#data) {
      this.#data = data;
      this.#view = new DataView(data.buffer, data.byteOffset, data.length);
    }
    this.#at = start + 1;
    this.#end = end;
    const code = start < end ? data[start] : undefined;
    try {
      const message = this.#message(code);
      if (this.#at !== this.#end) throw new RangeError(`${this.#end - this.#at} bytes left over`);
      return message;
    } catch (error) {
      if (error instanceof Problem) throw error;
      throw invalid(
        `message ${code === undefined ? '(empty)' : `0x${code.toString(16)}`} of ${end - start} bytes: ${String(error)}`,
        error,
      );
    }
  }

  /** As it was described last. */
  relation(oid: Oid): StreamRelation | undefined {
    return this.#relations.get(oid);
  }

  #message(code: number | undefined): Message {
    if (this.#inStretch && code !== undefined && IN_STRETCHES.has(code)) return this.#streamed(code);
    switch (code) {
      case INSERT:
        return this.#insert();
      case UPDATE:
        return this.#update();
      case DELETE:
        return this.#delete();
      case BEGIN:
        return this.#begin();
      case COMMIT:
        return this.#commit();
      case RELATION:
        return this.#relation();
      case TYPE:
        return this.#type();
      case TRUNCATE:
        return this.#truncate();
      case LOGICAL_MESSAGE:
        return this.#logicalMessage();
      case ORIGIN:
        return this.#origin();
      case STREAM_START:
        return this.#streamStart();
      case STREAM_STOP:
        return this.#streamStop();
      case STREAM_COMMIT:
        return this.#streamCommit();
      case STREAM_ABORT:
        return { kind: 'stream abort', xid: this.#uint32(), subxid: this.#uint32() };
      default:
        throw new RangeError('unknown message type');
    }
  }

  // Begin: int64 final LSN, int64 commit time in µs since 2000, int32 xid.
  #begin(): Message {
    return { kind: 'begin', finalLsn: this.#lsn(), committedAtMs: this.#timestamp(), xid: this.#uint32() };
  }

  // Commit: int8 flags (unused), int64 commit LSN, int64 end LSN, int64 commit time.
  #commit(): Message {
    this.#byte();
    return { kind: 'commit', commitLsn: this.#lsn(), endLsn: this.#lsn(), committedAtMs: this.#timestamp() };
  }

  // Stream Start: int32 xid, int8 1 for the first stretch of this transaction.
  #streamStart(): Message {
    if (this.#inStretch) throw new RangeError('a stretch inside a stretch');
    this.#inStretch = true;
    const xid = this.#uint32();
    this.#byte();
    return { kind: 'stream start', xid };
  }

  // Stream Stop: nothing.
  #streamStop(): Message {
    if (!this.#inStretch) throw new RangeError('the end of no stretch');
    this.#inStretch = false;
    return { kind: 'stream stop' };
  }

  // Stream Commit: int32 xid, and what Commit has.
  #streamCommit(): Message {
    const xid = this.#uint32();
    this.#byte();
    return { kind: 'stream commit', xid, commitLsn: this.#lsn(), endLsn: this.#lsn(), committedAtMs: this.#timestamp() };
  }

  // In a stretch: the message byte, int32 xid, and what the message has outside.
  #streamed(code: number): Message {
    const subxid = this.#uint32();
    const start = this.#skip(this.#end - this.#at);
    return { kind: 'streamed', subxid, code, data: this.#data, start, end: this.#end };
  }

  // Origin: int64 LSN of the commit there, string name.
  #origin(): Message {
    this.#lsn();
    return { kind: 'origin', name: this.#string() };
  }

  // Relation: int32 OID, string schema (empty for pg_catalog), string name, int8 identity, int16 columns, each with
  // int8 flags (1: in the identity), string name, int32 type OID, int32 type modifier.
  #relation(): Message {
    const oid = this.#uint32();
    const schema = this.#string() || 'pg_catalog';
    const name = this.#string();
    const replicaIdentity = IDENTITIES[this.#byte()];
    if (!replicaIdentity) throw new RangeError('unknown replica identity');
    const columns: StreamColumn[] = [];
    for (let left = this.#count(this.#int16()); left > 0; left--) {
      columns.push({ identity: (this.#byte() & 1) === 1, name: this.#string(), typeOid: this.#uint32(), typmod: this.#int32() });
    }
    const described: StreamRelation = { oid, schema, name, replicaIdentity, columns };
    // The source describes a relation again after whatever touched its cache (TRUNCATE, ANALYZE): as long as nothing
    // changed it stays the same object, because what is derived from it is kept by that.
    const before = this.#relations.get(oid) ?? this.#like?.relation(oid);
    this.#relations.set(oid, before && isDeepStrictEqual(before, described) ? before : described);
    this.#last = undefined;
    return DESCRIPTION;
  }

  // Type: int32 OID, string schema, string name. Types are matched by the catalogs of both sides, not by this.
  #type(): Message {
    this.#uint32();
    this.#string();
    this.#string();
    return DESCRIPTION;
  }

  // Insert: int32 relation, 'N', tuple.
  #insert(): Message {
    const relation = this.#known(this.#uint32());
    this.#expect(NEW_TUPLE);
    return { kind: 'insert', relation, row: this.#tuple(relation) };
  }

  // Update: int32 relation, optionally 'K' or 'O' and the old tuple, 'N', tuple.
  #update(): Message {
    const relation = this.#known(this.#uint32());
    const first = this.#byte();
    if (first === NEW_TUPLE) return { kind: 'update', relation, old: null, row: this.#tuple(relation) };
    const old = this.#oldRow(first, relation);
    this.#expect(NEW_TUPLE);
    return { kind: 'update', relation, old, row: this.#tuple(relation) };
  }

  // Delete: int32 relation, 'K' or 'O', tuple.
  #delete(): Message {
    const relation = this.#known(this.#uint32());
    const kind = this.#byte();
    return { kind: 'delete', relation, old: this.#oldRow(kind, relation) };
  }

  // Truncate: int32 count, int8 options (1 CASCADE, 2 RESTART IDENTITY), int32 relation each. CASCADE has already
  // been resolved on the source: the list names every table that it reached.
  #truncate(): Message {
    const count = this.#count(this.#int32());
    const options = this.#byte();
    const relations: StreamRelation[] = [];
    for (let left = count; left > 0; left--) relations.push(this.#known(this.#uint32()));
    return { kind: 'truncate', relations, restartIdentity: (options & TRUNCATE_RESTART_IDENTITY) !== 0 };
  }

  // Message: int8 flags (1 transactional), int64 LSN, string prefix, int32 length, bytes.
  #logicalMessage(): Message {
    const transactional = (this.#byte() & 1) === 1;
    this.#lsn();
    const prefix = this.#string();
    const start = this.#skip(this.#count(this.#int32()));
    const content = this.#data.toString('utf8', start, this.#at);
    return { kind: 'message', transactional, prefix, content };
  }

  #oldRow(kind: number, relation: StreamRelation): OldRow {
    if (kind !== OLD_KEY && kind !== OLD_FULL) throw new RangeError(`unknown tuple kind ${kind}`);
    return { kind: kind === OLD_FULL ? 'full' : 'key', tuple: this.#tuple(relation) };
  }

  // TupleData: int16 columns, each a kind byte and, for 't' and 'b', int32 length and bytes. Only walked over here, so
  // whoever reads the columns later may rely on every length, and on as many columns as the relation has.
  #tuple(relation: StreamRelation): Tuple {
    const data = this.#data;
    const view = this.#view;
    const end = this.#end;
    const columns = this.#int16();
    if (columns !== relation.columns.length)
      throw new RangeError(`${columns} columns for a relation of ${relation.columns.length}`);
    const start = this.#at;
    let at = start;
    let partial = false;
    for (let left = columns; left > 0; left--) {
      const kind = at < end ? data[at++] : undefined;
      if (kind === COLUMN.text || kind === COLUMN.binary) {
        if (at + 4 > end) throw new RangeError('ends inside a column');
        const length = view.getInt32(at);
        at += 4 + length;
        if (length < 0 || at > end) throw new RangeError(`a column of ${length} bytes`);
      } else if (kind === COLUMN.unchangedToast) partial = true;
      else if (kind !== COLUMN.null) throw new RangeError(`unknown column kind ${kind}`);
    }
    this.#at = at;
    return { data, view, start, end: at, columns, partial };
  }

  #known(oid: Oid): StreamRelation {
    if (this.#last?.oid === oid) return this.#last;
    const relation = this.#relations.get(oid);
    if (!relation) throw invalid(`relation ${oid} was never described`);
    return (this.#last = relation);
  }

  #expect(code: number): void {
    if (this.#byte() !== code) throw new RangeError(`expected tuple kind ${code}`);
  }

  #byte(): number {
    return this.#view.getUint8(this.#skip(1));
  }

  #int16(): number {
    return this.#view.getInt16(this.#skip(2));
  }

  #int32(): number {
    return this.#view.getInt32(this.#skip(4));
  }

  #uint32(): number {
    return this.#view.getUint32(this.#skip(4));
  }

  #lsn(): Lsn {
    return this.#view.getBigUint64(this.#skip(8)) as Lsn;
  }

  // Milliseconds since 1970; used for lag and display, never for data.
  #timestamp(): number {
    return Number(this.#view.getBigInt64(this.#skip(8))) / 1000 + POSTGRES_EPOCH_MS;
  }

  #string(): string {
    const end = this.#data.indexOf(0, this.#at);
    if (end === -1 || end >= this.#end) throw new RangeError('string without an end');
    const text = this.#data.toString('utf8', this.#at, end);
    this.#at = end + 1;
    return text;
  }

  #count(count: number): number {
    if (count < 0) throw new RangeError(`a count of ${count}`);
    return count;
  }

  /** Moves on by so many bytes and gives back where they begin. Behind the message lie other rows' bytes. */
  #skip(bytes: number): number {
    const at = this.#at;
    if (at + bytes > this.#end) throw new RangeError('ends too early');
    this.#at = at + bytes;
    return at;
  }
}

function invalid(what: string, cause?: unknown): Problem {
  return new Problem('STREAM_INVALID', `The source sent what this version cannot read: ${what}`, {
    remedy: 'Please report this with the source version; the slot keeps everything until it can be read.',
    cause,
  });
}
