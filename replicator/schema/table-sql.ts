import { targetColumn } from '../catalog/create-table.ts';
import type { RelationName, TableMapping } from '../catalog/relation.ts';
import type { Oid } from '../postgres/oid.ts';
import { quoteIdent, quoteLiteral, quoteRelation } from '../postgres/quote.ts';
import { memberTarget, type ColumnDefinition, type TableDefinition, type TreeDefinition } from './definition.ts';

/** Where other things are on the target, for what refers to them. */
export interface Places {
  /** Sequences by their OID on the source. */
  readonly sequences: ReadonlyMap<Oid, RelationName>;
  /** The same by how an expression of the source names them: nextval('…'::regclass). */
  readonly regclasses: ReadonlyMap<string, RelationName>;
  /** Tables by their OID on the source that may be inherited from: made by us, with the same columns. */
  readonly parents: ReadonlyMap<Oid, RelationName>;
}

/**
 * What makes a followed table and its partitions on the target, before their rows: columns with defaults, identity and
 * generated columns, storage, comments. They are made with the source's column names, so that every expression reads as it
 * does there, and renamed then: PostgreSQL keeps references by number.
 */
export function createTreeSql(tree: TreeDefinition, places: Places): string[] {
  return tree.members.flatMap((member) => createMemberSql(member, tree, places));
}

/** As createTreeSql(), for one of its members whose parent is there. */
function createMemberSql(member: TableDefinition, { mapping, members }: TreeDefinition, places: Places): string[] {
  const target = memberTarget(mapping, member);
  const table = quoteRelation(target);
  const columns = member.columns.filter((column) => !mapping.excludeColumns.includes(column.name));
  const inherited = member.bound === null ? member.parents.map((oid) => places.parents.get(oid)) : [];
  const parents = inherited.every((parent) => parent !== undefined) ? inherited : [];
  const listed = parents.length > 0 ? columns.filter((column) => column.local) : columns;
  const partitionOf = member.bound === null ? undefined : members.find(({ oid }) => member.parents.includes(oid));
  const unlisted = columns.filter((column) => !listed.includes(column));
  const lines = [
    ...listed.map((column) => columnSql(column, member, { target, places, attached: partitionOf !== undefined })),
    ...unlisted.flatMap(({ name, notNull }) =>
      notNull?.valid && notNull.local && notNull.name !== null
        ? [`CONSTRAINT ${quoteIdent(notNull.name)} NOT NULL ${quoteIdent(name)}${notNull.inherits ? '' : ' NO INHERIT'}`]
        : [],
    ),
  ];
  const serial = member.sequences.filter(({ identity, attnum }) => !identity && columns.some((each) => each.attnum === attnum));
  const sequenceName = (oid: Oid): string => quoteRelation(places.sequences.get(oid) ?? target);
  return [
    ...serial.flatMap((sequence) => [
      `CREATE SEQUENCE ${sequenceName(sequence.oid)} ${sequence.options}`,
      ...commentSql(`SEQUENCE ${sequenceName(sequence.oid)}`, sequence.comment),
    ]),
    [
      `CREATE TABLE ${table} (`,
      lines.map((line) => `\n  ${line}`).join(','),
      lines.length > 0 ? '\n)' : ')',
      parents.length > 0 ? ` INHERITS (${parents.map(quoteRelation).join(', ')})` : '',
      member.partitionKey === null ? '' : ` PARTITION BY ${member.partitionKey}`,
      member.accessMethod === null || member.partitionKey !== null ? '' : ` USING ${quoteIdent(member.accessMethod)}`,
      withOptions(member),
    ].join(''),
    ...unlisted.flatMap((column) => inheritedColumnSql(table, column, places)),
    ...columns.flatMap((column) => columnSettingsSql(table, column)),
    ...commentSql(`TABLE ${table}`, member.comment),
    ...columns.flatMap(({ name, comment }) => commentSql(`COLUMN ${table}.${quoteIdent(name)}`, comment)),
    ...(parents.length > 0 ? [] : renameColumnsSql(target, renames(mapping, columns))),
    ...(partitionOf
      ? [`ALTER TABLE ONLY ${quoteRelation(memberTarget(mapping, partitionOf))} ATTACH PARTITION ${table} ${member.bound}`]
      : []),
    ...serial.map((sequence) => {
      const column = columns.find(({ attnum }) => attnum === sequence.attnum);
      const name = quoteIdent(targetColumn(column?.name ?? '', mapping));
      return `ALTER SEQUENCE ${sequenceName(sequence.oid)} OWNED BY ${table}.${name}`;
    }),
  ];
}

export interface Rename {
  readonly from: string;
  readonly to: string;
}

/** The columns that have another name on the target. */
export function renames(mapping: TableMapping, columns: readonly { readonly name: string }[]): Rename[] {
  return columns.map(({ name }) => ({ from: name, to: targetColumn(name, mapping) })).filter(({ from, to }) => from !== to);
}

/** Renames columns at once, also where one takes the name of another. */
export function renameColumnsSql(table: RelationName, pairs: readonly Rename[]): string[] {
  const alter = (from: string, to: string): string =>
    `ALTER TABLE ${quoteRelation(table)} RENAME COLUMN ${quoteIdent(from)} TO ${quoteIdent(to)}`;
  if (!pairs.some(({ to }) => pairs.some(({ from }) => from === to))) return pairs.map(({ from, to }) => alter(from, to));
  return [
    ...pairs.map(({ from }, at) => alter(from, `pgfollow_${at}`)),
    ...pairs.map(({ to }, at) => alter(`pgfollow_${at}`, to)),
  ];
}

/** Nothing where there is no comment. */
export function commentSql(what: string, comment: string | null): string[] {
  return comment === null ? [] : [`COMMENT ON ${what} IS ${quoteLiteral(comment)}`];
}

function columnSql(
  column: ColumnDefinition,
  member: TableDefinition,
  { target, places, attached }: { target: RelationName; places: Places; attached: boolean },
): string {
  const parts = [quoteIdent(column.name), column.type];
  if (column.compression) parts.push(`COMPRESSION ${column.compression}`);
  if (column.collation !== null) parts.push(`COLLATE ${column.collation}`);
  if (column.generated !== 'no') {
    parts.push(`GENERATED ALWAYS AS (${placed(column, places)}) ${column.generated === 'stored' ? 'STORED' : 'VIRTUAL'}`);
  } else if (column.identity !== 'no') {
    // A partition has the identity of its table.
    if (!attached) parts.push(identitySql(column, member, target, places));
  } else if (column.expression !== null) {
    parts.push(`DEFAULT ${placed(column, places)}`);
  }
  const { notNull } = column;
  if (notNull?.valid) {
    const own = notNull.name !== null && notNull.name !== `${member.name}_${column.name}_not_null`;
    parts.push(`${own ? `CONSTRAINT ${quoteIdent(notNull.name)} ` : ''}NOT NULL${notNull.inherits ? '' : ' NO INHERIT'}`);
  }
  return parts.join(' ');
}

function identitySql(column: ColumnDefinition, member: TableDefinition, target: RelationName, places: Places): string {
  const sequence = member.sequences.find(({ attnum, identity }) => identity && attnum === column.attnum);
  const name = sequence && places.sequences.get(sequence.oid);
  const options = sequence ? sequence.options.replace(/^AS \w+ /, '') : '';
  const named = name ? `SEQUENCE NAME ${quoteRelation({ schema: target.schema, name: name.name })} ` : '';
  return `GENERATED ${column.identity === 'always' ? 'ALWAYS' : 'BY DEFAULT'} AS IDENTITY${sequence ? ` (${named}${options})` : ''}`;
}

// A sequence that moves to another schema, or is named otherwise, is called by its new name. There may be thousands of
// sequences, so it is looked up by what the expression says.
function placed({ expression }: ColumnDefinition, { regclasses }: Places): string {
  return (expression ?? 'NULL').replaceAll(/'((?:[^']|'')*)'::regclass\b/g, (said, literal: string) => {
    const target = regclasses.get(literal.replaceAll("''", "'"));
    return target ? `${quoteLiteral(quoteRelation(target))}::regclass` : said;
  });
}

function inheritedColumnSql(table: string, column: ColumnDefinition, places: Places): string[] {
  const alter = `ALTER TABLE ONLY ${table} ALTER COLUMN ${quoteIdent(column.name)}`;
  if (column.generated !== 'no' || column.identity !== 'no') return [];
  return [
    column.expression === null ? `${alter} DROP DEFAULT` : `${alter} SET DEFAULT ${placed(column, places)}`,
    ...(column.notNull?.valid && column.notNull.name === null ? [`${alter} SET NOT NULL`] : []),
  ];
}

function columnSettingsSql(table: string, column: ColumnDefinition): string[] {
  const alter = `ALTER TABLE ONLY ${table} ALTER COLUMN ${quoteIdent(column.name)}`;
  return [
    ...(column.storage ? [`${alter} SET STORAGE ${column.storage}`] : []),
    ...(column.statistics >= 0 ? [`${alter} SET STATISTICS ${column.statistics}`] : []),
    ...(column.options.length > 0 ? [`${alter} SET (${column.options.map(optionSql).join(', ')})`] : []),
  ];
}

function withOptions({ options, toastOptions }: TableDefinition): string {
  const all = [...options.map(optionSql), ...toastOptions.map((option) => `toast.${optionSql(option)}`)];
  return all.length === 0 ? '' : ` WITH (${all.join(', ')})`;
}

/** `fillfactor=70` as pg_class keeps it -> `"fillfactor" = '70'` */
function optionSql(option: string): string {
  const at = option.indexOf('=');
  return `${quoteIdent(option.slice(0, at))} = ${quoteLiteral(option.slice(at + 1))}`;
}
