import type { Client } from 'pg';
import { groupBy } from '../catalog/group-by.ts';
import { targetColumn } from '../catalog/create-table.ts';
import { displayName, type RelationName, type TableMapping } from '../catalog/relation.ts';
import { readParts } from '../metadata/created-tables.ts';
import type { Oid } from '../postgres/oid.ts';
import { quoteIdent, quoteRelation } from '../postgres/quote.ts';
import { memberTarget } from './definition.ts';
import { TREES } from './definition-queries.ts';
import { FOREIGN_KEYS, MEMBERS, type ForeignKeyRow, type MemberRow } from './part-queries.ts';
import { commentSql } from './table-sql.ts';

/** What makes two foreign keys the same, whatever they are called. */
interface KeyShape {
  readonly table: RelationName;
  readonly columns: readonly string[];
  readonly to: RelationName;
  readonly toColumns: readonly string[];
  /** The rows that are there are proven to hold to it. */
  readonly proven: boolean;
}

/** A foreign key of a table of ours that is not there yet. */
export interface ForeignKey {
  readonly part: string;
  /** The followed table that it refers to, on the source. */
  readonly refersTo: string;
  /** Tables on the source of which one has to be followed first; none where one is. */
  readonly unfollowed: readonly string[];
  /** Why it was not made before; null for one that was not tried. */
  readonly refused: string | null;
  /** The target has not every row of the table that it refers to, by a filter: its rows need not hold to it. */
  readonly refersToSome: boolean;
  /** As the target has it; null where it cannot be made. */
  readonly shape: KeyShape | null;
  /** Why it cannot be made, or the statements that make it: */
  readonly impossible: string | null;
  /** adds it, without looking at the rows where the server can; */
  readonly add: readonly string[];
  /** proves it on the rows that are there, while others write; none where that came with `add`; */
  readonly validate: readonly string[];
  /** takes it away again. */
  readonly drop: readonly string[];
}

/**
 * The foreign keys of each of these tables of ours (and their partitions) that are still to be made. `mappingOf` knows the followed
 * tables: only between those are they made.
 */
export async function planForeignKeys(
  { source, target }: { source: Client; target: Client },
  pipeline: string,
  tables: readonly { readonly oid: Oid; readonly mapping: TableMapping }[],
  options: { mappingOf: (table: RelationName) => TableMapping | null; targetVersion: number },
): Promise<ForeignKey[][]> {
  const tree = (await source.query<{ root: Oid; oid: Oid }>(TREES, [tables.map(({ oid }) => oid)])).rows;
  const oids = tree.map(({ oid }) => oid);
  const members = new Map((await source.query<MemberRow>(MEMBERS, [oids])).rows.map((row) => [row.oid, row]));
  const rows = groupBy((await source.query<ForeignKeyRow>(FOREIGN_KEYS, [oids])).rows, ({ relation }) => relation);
  const done = await readParts(
    target,
    pipeline,
    tables.map(({ mapping }) => mapping.target),
  );
  const byRoot = groupBy(tree, ({ root }) => root);
  return tables.map(({ oid, mapping }) => {
    const known = done.get(displayName(mapping.target));
    return (byRoot.get(oid) ?? [])
      .flatMap((member) => (rows.get(member.oid) ?? []).filter((row) => member.oid === oid || !row.inherited))
      .map((row) => foreignKey(row, members.get(row.relation) ?? mapping.source, mapping, options))
      .filter(({ part }) => known?.get(part) !== null)
      .map((key) => ({ ...key, refused: known?.get(key.part) ?? null }));
  });
}

/** One foreign key, its names as the target has them. */
function foreignKey(
  row: ForeignKeyRow,
  member: RelationName,
  mapping: TableMapping,
  { mappingOf, targetVersion }: { mappingOf: (table: RelationName) => TableMapping | null; targetVersion: number },
): Omit<ForeignKey, 'refused'> {
  const root = { schema: row.root_schema, name: row.root_name };
  const to = { schema: row.to_schema, name: row.to_name };
  const toMapping = mappingOf(root) ?? mappingOf(to);
  const base = {
    part: `foreign key ${displayName(member)}.${row.name}`,
    refersTo: displayName(mappingOf(root) ? root : to),
    unfollowed: toMapping ? [] : [displayName(root), displayName(to)],
    refersToSome: toMapping !== null && toMapping.where !== null,
  };
  const impossible = reasonAgainst(row, mapping, toMapping);
  if (impossible !== null || !toMapping) return { ...base, shape: null, impossible, add: [], validate: [], drop: [] };
  const shape: KeyShape = {
    table: memberTarget(mapping, member),
    columns: row.columns.map((column) => targetColumn(column, mapping)),
    to: memberTarget(toMapping, to),
    toColumns: row.to_columns.map((column) => targetColumn(column, toMapping)),
    proven: row.validated && row.enforced,
  };
  const table = quoteRelation(shape.table);
  const name = quoteIdent(row.name);
  // https://www.postgresql.org/docs/release/18.0/ : before, a partitioned table takes no key that is not proven.
  const later = row.validated && row.enforced && !(row.partitioned && targetVersion < 180000);
  const definition = [
    `FOREIGN KEY (${columnList(row.columns, mapping, row.period)})`,
    `REFERENCES ${quoteRelation(shape.to)} (${columnList(row.to_columns, toMapping, row.period)})`,
    ...(row.match_full ? ['MATCH FULL'] : []),
    ...(row.on_update === 'a' ? [] : [`ON UPDATE ${ACTIONS[row.on_update]}`]),
    ...(row.on_delete === 'a' ? [] : [`ON DELETE ${ACTIONS[row.on_delete]}`]),
    ...(row.delete_columns.length > 0 ? [`(${columnList(row.delete_columns, mapping, false)})`] : []),
    ...(row.deferrable ? ['DEFERRABLE'] : []),
    ...(row.deferred ? ['INITIALLY DEFERRED'] : []),
    ...(row.enforced ? [] : ['NOT ENFORCED']),
    ...(later || (row.enforced && !row.validated) ? ['NOT VALID'] : []),
  ].join(' ');
  return {
    ...base,
    shape,
    impossible: null,
    add: [
      `ALTER TABLE ${table} ADD CONSTRAINT ${name} ${definition}`,
      ...commentSql(`CONSTRAINT ${name} ON ${table}`, row.comment),
    ],
    validate: later ? [`ALTER TABLE ${table} VALIDATE CONSTRAINT ${name}`] : [],
    drop: [`ALTER TABLE ${table} DROP CONSTRAINT IF EXISTS ${name}`],
  };
}

const ACTIONS: Readonly<Record<string, string>> = { r: 'RESTRICT', c: 'CASCADE', n: 'SET NULL', d: 'SET DEFAULT' };

function reasonAgainst(row: ForeignKeyRow, mapping: TableMapping, to: TableMapping | null): string | null {
  if (!to) return `${displayName({ schema: row.to_schema, name: row.to_name })} is not followed`;
  const lost = [
    ...row.columns.filter((name) => mapping.excludeColumns.includes(name)),
    ...row.to_columns.filter((name) => to.excludeColumns.includes(name)),
  ];
  return lost.length > 0 ? `it uses ${lost.join(', ')}, which is not carried` : null;
}

function columnList(columns: readonly string[], mapping: TableMapping, period: boolean): string {
  const names = columns.map((column) => quoteIdent(targetColumn(column, mapping)));
  return names.map((name, at) => (period && at === names.length - 1 ? `PERIOD ${name}` : name)).join(', ');
}
