import type { RelationName, TableMapping } from '../catalog/relation.ts';
import type { Oid } from '../postgres/oid.ts';

interface NotNull {
  /** Only where the server keeps one (PostgreSQL 18). */
  readonly name: string | null;
  /** Tables that inherit have it too. */
  readonly inherits: boolean;
  /** Not only inherited. */
  readonly local: boolean;
  /** The rows that are there hold to it. */
  readonly valid: boolean;
}

/** A column as CREATE TABLE wants it, in the source's names. */
export interface ColumnDefinition {
  readonly attnum: number;
  readonly name: string;
  /** format_type(), qualified where user-defined. */
  readonly type: string;
  /** Qualified and quoted, where it is not that of the type. */
  readonly collation: string | null;
  /** Null where it may be null. */
  readonly notNull: NotNull | null;
  readonly identity: 'no' | 'always' | 'by default';
  readonly generated: 'no' | 'stored' | 'virtual';
  /** Of the default or the generated column, as SQL. */
  readonly expression: string | null;
  /** Where it is not that of the type. */
  readonly storage: 'PLAIN' | 'EXTERNAL' | 'EXTENDED' | 'MAIN' | null;
  readonly compression: 'pglz' | 'lz4' | null;
  /** -1 for the default. */
  readonly statistics: number;
  readonly options: readonly string[];
  /** Not only inherited. */
  readonly local: boolean;
  readonly comment: string | null;
}

export interface SequenceDefinition extends RelationName {
  readonly oid: Oid;
  /** How an expression of the source names it: nextval('…'::regclass). */
  readonly regclass: string;
  /** AS … START WITH … and so on. */
  readonly options: string;
  readonly comment: string | null;
}

/** A sequence that belongs to a column. */
export interface OwnedSequence extends SequenceDefinition {
  readonly attnum: number;
  /** Of an identity column, which makes its own. */
  readonly identity: boolean;
}

/** One table or partition of the source, as far as it is made before its rows. */
export interface TableDefinition extends RelationName {
  readonly oid: Oid;
  readonly columns: readonly ColumnDefinition[];
  readonly sequences: readonly OwnedSequence[];
  /** RANGE (at), of a partitioned table. */
  readonly partitionKey: string | null;
  /** FOR VALUES …, of a partition. */
  readonly bound: string | null;
  /** What it inherits from, or is a partition of. */
  readonly parents: readonly Oid[];
  readonly options: readonly string[];
  readonly toastOptions: readonly string[];
  /** Where it is not heap. */
  readonly accessMethod: string | null;
  readonly comment: string | null;
}

/** A followed table with its partitions at every level, parents first: made as one. */
export interface TreeDefinition {
  readonly mapping: TableMapping;
  /** The first is the followed table itself. */
  readonly members: readonly TableDefinition[];
}

/** The name that a partition has on the target: its own, in the schema that its table moves to. */
export function memberTarget(mapping: TableMapping, member: RelationName): RelationName {
  const { source, target } = mapping;
  if (member.schema === source.schema && member.name === source.name) return target;
  return { schema: member.schema === source.schema ? target.schema : member.schema, name: member.name };
}
