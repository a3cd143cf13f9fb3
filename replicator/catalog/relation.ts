import type { Oid } from '../postgres/oid.ts';
import type { TypeForm } from './type-forms.ts';

/** A table's name as the catalog has it, unquoted. */
export interface RelationName {
  readonly schema: string;
  readonly name: string;
}

/** `schema.table`: how configuration, API, metrics and messages name a table. */
export function displayName(relation: RelationName): string {
  return `${relation.schema}.${relation.name}`;
}

/** What a column's type allows; https://www.postgresql.org/docs/current/catalog-pg-type.html */
export interface ColumnType {
  readonly oid: Oid;
  /** As SQL wants it, schema-qualified where user-defined, without type modifier. */
  readonly sqlName: string;
  /** pg_type.typtype of the type itself (a domain is 'd'). */
  readonly kind: 'base' | 'composite' | 'domain' | 'enum' | 'pseudo' | 'range' | 'multirange';
  /** The type behind a domain, or the type itself. */
  readonly baseOid: Oid;
  /** Element type of a true array, else null. */
  readonly elementOid: Oid | null;
  /** Its = is that of indexes and hashes, and holds for the same value at least. */
  readonly hasEquality: boolean;
  /** Equality that holds only for values whose text is the same (so that = finds exactly the same value). */
  readonly equalityIsIdentity: boolean;
  /**
   * Schema of the type, or of the one behind the domain, where it brings operators of its own (citext); absent where those of
   * pg_catalog serve: built-in types, enums, arrays, ranges, composites.
   */
  readonly operatorSchema?: string;
  /** What its values are made of; absent for a built-in type, also behind a domain. */
  readonly form?: TypeForm;
}

export interface Column {
  readonly name: string;
  readonly attnum: number;
  readonly type: ColumnType;
  /** format_type(): with type modifier, as in CREATE TABLE. */
  readonly typeText: string;
  readonly notNull: boolean;
  readonly generated: 'no' | 'stored' | 'virtual';
  readonly identity: 'no' | 'always' | 'by default';
  readonly hasDefault: boolean;
  /** Expression of a generated column, as SQL; null where it could not be read without waiting for a lock. */
  readonly generatedAs?: string | null;
}

export interface UniqueIndex {
  readonly name: string;
  readonly columns: readonly string[];
  readonly primary: boolean;
  /** Unique, not partial, not deferrable, no expressions, every column NOT NULL: fit for REPLICA IDENTITY USING INDEX. */
  readonly identifies: boolean;
}

/** One table of a database, as its catalog describes it at one moment. */
export interface Relation extends RelationName {
  readonly oid: Oid;
  readonly kind: 'table' | 'partitioned';
  readonly persistence: 'permanent' | 'unlogged' | 'temporary';
  readonly replicaIdentity: 'default' | 'index' | 'full' | 'nothing';
  /** Columns of the replica identity as PostgreSQL resolves it now; empty under FULL, NOTHING, or DEFAULT without a key. */
  readonly identityColumns: readonly string[];
  readonly uniqueIndexes: readonly UniqueIndex[];
  readonly columns: readonly Column[];
  /** OID of the topmost partitioned parent when this is a partition, else null. */
  readonly rootOid: Oid | null;
  /** OID of the direct partitioned parent, which is not the root in a tree of several levels. */
  readonly parentOid?: Oid | null;
  /** pg_class.reltuples, summed over partitions; -1 when never analyzed. */
  readonly estimatedRows: number;
  /** Main fork bytes, summed over partitions. */
  readonly bytes: number;
  /** An ENABLE REPLICA or ENABLE ALWAYS trigger, or a rule, acts on replicated rows. */
  readonly firesOnReplica: boolean;
}

/** One table to follow: from where, to where, how. What tables.include and tables.map come down to. */
export interface TableMapping {
  readonly source: RelationName;
  readonly target: RelationName;
  /** Source columns that are not carried. */
  readonly excludeColumns: readonly string[];
  /** Source column -> target column. */
  readonly renameColumns: Readonly<Record<string, string>>;
  /** Row filter in SQL, pushed into the publication. */
  readonly where: string | null;
}
