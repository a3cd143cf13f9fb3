import { FrameWriter } from '../postgres/frame-writer.ts';
import type { Change, OldRow, StreamRelation, Tuple } from '../pgoutput/messages.ts';
import { unreachable } from '../problem.ts';

const IDENTITIES = { default: 'd', index: 'i', full: 'f', nothing: 'n' } as const;
const TRUNCATE_RESTART_IDENTITY = 2;

/** Message byte and relation. */
const HEAD_BYTES = 5;
/** Begin: message byte, int64 final LSN, int64 commit time, int32 xid. */
const BEGIN_BYTES = 21;
/** Truncate of one relation: message byte, int32 count, int8 options, int32 relation. */
const TRUNCATE_BYTES = 10;

/**
 * Writes changes of one relation back into the bytes they came as, each message behind an int32 length: its Types, a Relation, then
 * a Begin where the transaction changes, and the changes. A tuple still is what was received, so this is a header and
 * a copy. https://www.postgresql.org/docs/current/protocol-logicalrep-message-formats.html
 */
export class SpoolEncoder {
  readonly relation: StreamRelation;
  readonly #writer = new FrameWriter(1 << 12);
  #xid: number | null = null;

  constructor(relation: StreamRelation) {
    this.relation = relation;
    this.#describe();
  }

  /** Bytes written so far. */
  get bytes(): number {
    return this.#writer.length;
  }

  /** Adds a change of this relation that transaction `xid` made; of a TRUNCATE of several tables only this one's part. */
  add(change: Change, xid: number): void {
    if (xid !== this.#xid) this.#begin(xid);
    const writer = this.#writer;
    switch (change.kind) {
      case 'insert':
        writer.int32(HEAD_BYTES + tupleBytes(change.row));
        this.#head('I');
        this.#tuple('N', change.row);
        return;
      case 'update':
        writer.int32(HEAD_BYTES + (change.old ? tupleBytes(change.old.tuple) : 0) + tupleBytes(change.row));
        this.#head('U');
        if (change.old) this.#old(change.old);
        this.#tuple('N', change.row);
        return;
      case 'delete':
        writer.int32(HEAD_BYTES + tupleBytes(change.old.tuple));
        this.#head('D');
        this.#old(change.old);
        return;
      case 'truncate':
        writer.int32(TRUNCATE_BYTES);
        this.#letter('T');
        writer.int32(1);
        writer.byte(change.restartIdentity ? TRUNCATE_RESTART_IDENTITY : 0);
        writer.uint32(this.relation.oid);
        return;
      default:
        unreachable(change);
    }
  }

  /** All that was written, in parts; the encoder is of no more use. */
  take(): Buffer[] {
    return this.#writer.take();
  }

  #describe(): void {
    const { oid, schema, name, replicaIdentity, columns } = this.relation;
    const writer = this.#writer;
    for (const { typeOid, base } of columns) {
      if (!base) continue;
      writer.int32(HEAD_BYTES + Buffer.byteLength(base.schema) + Buffer.byteLength(base.name) + 2);
      this.#letter('Y');
      writer.uint32(typeOid);
      writer.cstring(base.schema);
      writer.cstring(base.name);
    }
    const text = Buffer.byteLength(schema) + Buffer.byteLength(name) + 2;
    const columnBytes = columns.reduce((sum, column) => sum + Buffer.byteLength(column.name) + 10, 0);
    writer.int32(HEAD_BYTES + text + 3 + columnBytes);
    this.#letter('R');
    writer.uint32(oid);
    writer.cstring(schema);
    writer.cstring(name);
    this.#letter(IDENTITIES[replicaIdentity]);
    writer.int16(columns.length);
    for (const column of columns) {
      writer.byte(column.identity ? 1 : 0);
      writer.cstring(column.name);
      writer.uint32(column.typeOid);
      writer.int32(column.typmod);
    }
  }

  #begin(xid: number): void {
    this.#xid = xid;
    const writer = this.#writer;
    writer.int32(BEGIN_BYTES);
    this.#letter('B');
    for (let word = 0; word < 4; word++) writer.int32(0);
    writer.uint32(xid);
  }

  #head(letter: string): void {
    this.#letter(letter);
    this.#writer.uint32(this.relation.oid);
  }

  #old({ kind, tuple }: OldRow): void {
    this.#tuple(kind === 'full' ? 'O' : 'K', tuple);
  }

  #tuple(letter: string, tuple: Tuple): void {
    this.#letter(letter);
    this.#writer.int16(tuple.columns);
    this.#writer.slice(tuple, tuple.start, tuple.end);
  }

  #letter(letter: string): void {
    this.#writer.byte(letter.charCodeAt(0));
  }
}

// Its letter, int16 columns, the columns.
function tupleBytes({ start, end }: Tuple): number {
  return 3 + end - start;
}
