import type { ColumnPair } from '../catalog/match-target.ts';
import type { Relation, TableMapping } from '../catalog/relation.ts';
import { nextProgress, type TableProgress } from '../metadata/table-state.ts';
import type { CopiedAsOf, StoredColumns, StoredMapping, StoredTable } from '../metadata/table-states.ts';
import { formatLsn, type Lsn } from '../postgres/lsn.ts';
import type { Oid } from '../postgres/oid.ts';
import type { Problem } from '../problem.ts';
import type { PresentLeaf } from '../source/partitions.ts';
import type { Membership } from '../source/membership.ts';

/** One table of the pipeline: where it comes from and goes to, and how far it is. */
export interface FollowedTable {
  /** `schema.table` on the source. */
  readonly name: string;
  mapping: TableMapping;
  source: Relation;
  target: Relation | null;
  /** Empty while the target does not fit. */
  columns: readonly ColumnPair[];
  readonly stored: StoredTable | null;
  /**
   * What is known of the table of this name does not hold for it any more: the source has another one under the name, or it was not
   * published for a while, or has got rows with a partition, or a name stands for another one of its columns, it is mapped otherwise,
   * or its rows have got values in a column that was added.
   */
  replaced:
    | 'by another'
    | 'not published'
    | 'partition attached'
    | 'columns exchanged'
    | 'mapped otherwise'
    | 'column filled'
    | null;
  /** OID of the source's table as it is stored. */
  storedOid: Oid | null;
  /** By which entries of the publications its changes come, as was read last, and as it is stored. */
  membership: Membership;
  storedMembership: Membership | null;
  /** Which column each name stood for when it was read last, and as it is stored. */
  places: StoredColumns;
  savedPlaces: string | null;
  /** How it is mapped, and as that is stored. */
  mappedAs: StoredMapping;
  savedMapping: string | null;
  /** Its partitions as they were read last, and as they are stored. */
  partitions: readonly PresentLeaf[];
  savedPartitions: string | null;
  /** Partitions that could not be looked at because somebody kept them locked, by what the clock knows them by: not among `partitions`. */
  putOff: readonly string[];
  progress: TableProgress;
  /** Its changes go to the spool. */
  spooling: boolean;
  /** The rows are there as of a copy; else a copy is needed, once nothing else is in the way. */
  hasRows: boolean;
  /** The copy was made beside the stream: what the spool need not bring, and from when on that is clear. */
  copiedAsOf: CopiedAsOf | null;
  spooledBytes: number;
  /** Rows that are on the target come from an earlier copy of ours. */
  ours: boolean;
  /** The target holds rows of a copy in chunks that was not finished. */
  partial: boolean;
  /** Every transaction that commits behind this position on the source is in the stream. */
  publishedAt: Lsn;
  /**
   * It was put into the publication in this session: whoever was writing to it then may be in the stream in part only. `anew`: a part of it
   * was a table of its own, and senders may go on knowing that.
   */
  published: 'before' | 'now' | 'anew';
  /** Made by us on the target, and its keys, indexes and constraints are not all there: no changes are applied before. */
  unbuilt: boolean;
  /** Made by us: its foreign keys are still to be made, some were refused and are tried again, or somebody has asked for that. */
  foreignKeys: 'none' | 'open' | 'refused' | 'asked';
  /** Made by us, and the target has refused something of it. */
  lacking: boolean;
  /** Another one stands under its name by now, or none: what is still done with this one does not count. */
  superseded: boolean;
  /** What was refused is to be tried once more: at the beginning of a session, or because somebody has asked. */
  mend: 'no' | 'once' | 'asked';
  /** What was stored last of what may change. */
  saved: string;
}

/** How far a table is, and what that is worth: what is stored of it whenever it changes. */
export type Standing = Pick<FollowedTable, 'progress' | 'spooling' | 'hasRows' | 'copiedAsOf'>;

/** Where a table goes on from. A copy that was interrupted, or failed, is made again. */
export function standing(stored: StoredTable | null): Standing {
  if (!stored?.hasRows) return { progress: { state: 'pending' }, spooling: false, hasRows: false, copiedAsOf: null };
  const { progress, spooling, hasRows, copiedAsOf } = stored;
  return { progress, spooling, hasRows, copiedAsOf };
}

/** A standing as text, to be compared with what was stored last. */
export function savedAs(table: Standing): string {
  const { progress, spooling, hasRows, copiedAsOf } = table;
  return JSON.stringify([progress, spooling, hasRows, copiedAsOf && [copiedAsOf.snapshot, formatLsn(copiedAsOf.walEnd)]]);
}

/** A table cannot take part for now: `error`, with the reason. */
export function failTable(table: FollowedTable, problem: Problem): void {
  table.progress = nextProgress(table.progress, { type: 'failed', problem });
}
