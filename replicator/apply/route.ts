import type { TableMapping } from '../catalog/relation.ts';

/** Where the changes of a relation of the stream go. */
export type Route =
  /** To its target table. */
  | { readonly to: 'table'; readonly mapping: TableMapping }
  /** Kept for later, under the name that the pipeline knows the table by: `schema.table` on the source. */
  | { readonly to: 'spool'; readonly mapping: TableMapping }
  /** Not followed, or about to be copied anew. */
  | { readonly to: 'nowhere' };
