import type { Client } from 'pg';
import { groupBy } from '../catalog/group-by.ts';
import type { TableMapping } from '../catalog/relation.ts';
import type { Oid } from '../postgres/oid.ts';
import type { ColumnDefinition, OwnedSequence, SequenceDefinition, TableDefinition, TreeDefinition } from './definition.ts';
import {
  COLUMNS,
  OWNED_SEQUENCES,
  SEQUENCES,
  TABLES,
  TREES,
  type ColumnRow,
  type SequenceRow,
  type TableRow,
} from './definition-queries.ts';

/** The tables with their partitions as the source's catalog has them; the session's search_path must be empty. */
export async function readTrees(
  source: Client,
  tables: readonly { readonly oid: Oid; readonly mapping: TableMapping }[],
): Promise<TreeDefinition[]> {
  const members = await source.query<{ root: Oid; oid: Oid }>(TREES, [tables.map(({ oid }) => oid)]);
  const oids = members.rows.map(({ oid }) => oid);
  const rows = (await source.query<TableRow>(TABLES, [oids])).rows;
  const columns = groupBy((await source.query<ColumnRow>(COLUMNS, [oids])).rows, ({ relation }) => relation);
  const sequences = groupBy((await source.query<SequenceRow>(OWNED_SEQUENCES, [oids])).rows, ({ relation }) => relation);
  const byOid = new Map(rows.map((row) => [row.oid, toTable(row, columns.get(row.oid) ?? [], sequences.get(row.oid) ?? [])]));
  const trees = groupBy(members.rows, ({ root }) => root);
  return tables.map(({ oid, mapping }) => ({
    mapping,
    members: (trees.get(oid) ?? []).map((member) => byOid.get(member.oid)).filter((member) => member !== undefined),
  }));
}

export async function readSequences(source: Client, oids: readonly Oid[]): Promise<SequenceDefinition[]> {
  return (await source.query<SequenceRow>(SEQUENCES, [oids])).rows.map(toSequence);
}

const STORAGES: Readonly<Record<string, NonNullable<ColumnDefinition['storage']>>> = {
  p: 'PLAIN',
  e: 'EXTERNAL',
  x: 'EXTENDED',
  m: 'MAIN',
};

function toTable(row: TableRow, columns: readonly ColumnRow[], sequences: readonly SequenceRow[]): TableDefinition {
  return {
    oid: row.oid,
    schema: row.schema,
    name: row.name,
    columns: columns.map(toColumn),
    sequences: sequences.map((each): OwnedSequence => ({ ...toSequence(each), attnum: each.attnum, identity: each.identity })),
    partitionKey: row.partition_key,
    bound: row.bound,
    parents: row.parents,
    options: row.options ?? [],
    toastOptions: row.toast_options ?? [],
    accessMethod: row.access_method,
    comment: row.comment,
  };
}

function toColumn(row: ColumnRow): ColumnDefinition {
  return {
    attnum: row.attnum,
    name: row.name,
    type: row.type,
    collation: row.collation,
    notNull: row.not_null
      ? {
          name: row.not_null_name,
          inherits: row.not_null_inherits,
          local: row.not_null_local,
          valid: row.not_null_valid,
        }
      : null,
    identity: row.identity === 'a' ? 'always' : row.identity === 'd' ? 'by default' : 'no',
    generated: row.generated === 's' ? 'stored' : row.generated === 'v' ? 'virtual' : 'no',
    expression: row.expression,
    storage: STORAGES[row.storage ?? ''] ?? null,
    compression: row.compression === 'p' ? 'pglz' : row.compression === 'l' ? 'lz4' : null,
    statistics: row.statistics,
    options: row.options ?? [],
    local: row.local,
    comment: row.comment,
  };
}

function toSequence({ oid, schema, name, regclass, definition, comment }: SequenceRow): SequenceDefinition {
  return { oid, schema, name, regclass, options: definition, comment };
}
