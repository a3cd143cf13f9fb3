import type { Column, ColumnType, Relation, TableMapping, UniqueIndex } from '../catalog/relation.ts';
import { TYPE_OID } from '../postgres/oid.ts';

const INT4: ColumnType = {
  oid: TYPE_OID.int4,
  sqlName: 'integer',
  kind: 'base',
  baseOid: TYPE_OID.int4,
  elementOid: null,
  hasEquality: true,
  equalityIsIdentity: true,
};

/** A column for tests without a database: an integer unless told otherwise. */
export function buildColumn(name: string, more: Partial<Omit<Column, 'type'>> & { type?: Partial<ColumnType> } = {}): Column {
  const type: ColumnType = { ...INT4, ...(more.type?.oid === undefined ? {} : { baseOid: more.type.oid }), ...more.type };
  return {
    name,
    attnum: 1,
    typeText: type.sqlName,
    notNull: false,
    generated: 'no',
    identity: 'no',
    hasDefault: false,
    ...more,
    type,
  };
}

/** An index that is fit for a replica identity unless told otherwise. */
export function buildIndex(name: string, columns: string[], more: Partial<UniqueIndex> = {}): UniqueIndex {
  return { name, columns, primary: false, identifies: true, ...more };
}

/** A table public.NAME for tests without a database; columns by name are integers. */
export function buildRelation(
  name: string,
  more: Partial<Omit<Relation, 'columns'>> & { columns?: (string | Column)[] } = {},
): Relation {
  return {
    schema: 'public',
    name,
    oid: 20000 + Buffer.from(name).reduce((sum, byte) => (sum * 31 + byte) % 1_000_000, 0),
    kind: 'table',
    persistence: 'permanent',
    replicaIdentity: 'default',
    identityColumns: [],
    uniqueIndexes: [],
    rootOid: null,
    parentOid: null,
    estimatedRows: -1,
    bytes: 0,
    firesOnReplica: false,
    ...more,
    columns: (more.columns ?? []).map((column) => (typeof column === 'string' ? buildColumn(column) : column)),
  };
}

export function buildMapping(
  source: string,
  more: Partial<Omit<TableMapping, 'target'>> & { target?: string } = {},
): TableMapping {
  return {
    source: { schema: 'public', name: source },
    excludeColumns: [],
    renameColumns: {},
    where: null,
    ...more,
    target: { schema: 'public', name: more.target ?? source },
  };
}
