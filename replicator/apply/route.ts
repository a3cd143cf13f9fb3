import type { ColumnPair } from '../catalog/match-target.ts';
import type { Relation, TableMapping } from '../catalog/relation.ts';

/** Where the changes of a relation of the stream go. */
export type Route =
  /**
   * To its target table. `columns`: what the catalogs knew of both when they were read last; `target`: what that is, where it has
   * just been read.
   */
  | {
      readonly to: 'table';
      readonly mapping: TableMapping;
      readonly columns: readonly ColumnPair[];
      readonly target?: Relation;
    }
  /** Kept for later, under the name that the pipeline knows the table by: `schema.table` on the source. */
  | { readonly to: 'spool'; readonly mapping: TableMapping }
  /** Not followed, or about to be copied anew. */
  | { readonly to: 'nowhere' };
