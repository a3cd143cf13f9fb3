import type { Relation, TableMapping } from '../catalog/relation.ts';

/** Where the changes of a relation of the stream go. */
export type Route =
  /** To its target table. `target`: what that is, where it has just been read. */
  | { readonly to: 'table'; readonly mapping: TableMapping; readonly target?: Relation }
  /** Kept for later, under the name that the pipeline knows the table by: `schema.table` on the source. */
  | { readonly to: 'spool'; readonly mapping: TableMapping }
  /** Not followed, or about to be copied anew. */
  | { readonly to: 'nowhere' };
