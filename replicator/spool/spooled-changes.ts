import { displayName, type RelationName } from '../catalog/relation.ts';
import type { Batch } from '../change/batcher.ts';
import { Decoder } from '../pgoutput/decoder.ts';
import type { Change, StreamRelation } from '../pgoutput/messages.ts';
import { SpoolEncoder } from './encode.ts';
import { sees, type PgSnapshot } from './pg-snapshot.ts';

/** A row is closed when it has grown to this, so that what is read back in one go stays small. */
const ROW_BYTES = 1 << 18;

/** One row to come of pgfollow.spool. */
export interface SpoolRow {
  /** On the source, as the pipeline names it. */
  readonly source: RelationName;
  readonly bytes: number;
  /** They follow each other. */
  readonly parts: readonly Buffer[];
}

/**
 * The changes of a batch that are to be kept, as rows of the spool, in order. `tableOf` names the table whose spool a
 * relation's changes go to, or gives null.
 */
export function spoolRows(
  batch: Pick<Batch, 'changes' | 'xids' | 'starts'>,
  tableOf: (relation: StreamRelation) => RelationName | null,
): SpoolRow[] {
  const rows: SpoolRow[] = [];
  const open = new Map<string, { source: RelationName; encoder: SpoolEncoder }>();
  const encoderFor = (source: RelationName, relation: StreamRelation): SpoolEncoder => {
    const name = displayName(source);
    const known = open.get(name);
    if (known?.encoder.relation === relation && known.encoder.bytes < ROW_BYTES) return known.encoder;
    if (known) rows.push(rowOf(known));
    const encoder = new SpoolEncoder(relation);
    open.set(name, { source, encoder });
    return encoder;
  };
  const add = (relation: StreamRelation, change: Change, xid: number): void => {
    const source = tableOf(relation);
    if (source) encoderFor(source, relation).add(change, xid);
  };
  let transaction = -1;
  for (const [i, change] of batch.changes.entries()) {
    while ((batch.starts[transaction + 1] ?? Infinity) <= i) transaction++;
    const xid = batch.xids[transaction] ?? 0;
    if (change.kind === 'truncate') for (const relation of change.relations) add(relation, change, xid);
    else add(change.relation, change, xid);
  }
  for (const last of open.values()) rows.push(rowOf(last));
  return rows;
}

function rowOf({ source, encoder }: { source: RelationName; encoder: SpoolEncoder }): SpoolRow {
  return { source, bytes: encoder.bytes, parts: encoder.take() };
}

/** Reads spool rows back: their changes, without those of transactions that `seen`, the snapshot of a copy, contained. */
export class SpoolDecoder {
  readonly #decoder = new Decoder();

  changes(bytes: Buffer, seen: PgSnapshot | null): Change[] {
    const changes: Change[] = [];
    let skip = false;
    for (let at = 0; at < bytes.length;) {
      const end = at + 4 + bytes.readInt32BE(at);
      const message = this.#decoder.decode(bytes, at + 4, end);
      at = end;
      if (message.kind === 'begin') skip = seen !== null && sees(seen, message.xid);
      else if (
        message.kind === 'insert' ||
        message.kind === 'update' ||
        message.kind === 'delete' ||
        message.kind === 'truncate'
      ) {
        if (!skip) changes.push(message);
      }
    }
    return changes;
  }
}
