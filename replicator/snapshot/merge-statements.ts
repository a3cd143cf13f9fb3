import type { Client } from 'pg';
import { equalityExpression } from '../apply/column-sql.ts';
import type { ColumnPair } from '../catalog/match-target.ts';
import type { Column, RelationName } from '../catalog/relation.ts';
import { shadowName, storeShadow } from '../metadata/shadows.ts';
import { quoteIdent, quoteRelation } from '../postgres/quote.ts';
import type { CopyTask } from './copy-table.ts';
import { targetOf } from './make-room.ts';

type Merged = Pick<CopyTask, 'target' | 'columns' | 'binary'>;

/**
 * Makes the table that a copy goes to before it is merged: the carried columns as the target has them, and nothing else. Unlogged:
 * it is of no use to anybody once the copy is lost. Gives its id.
 */
export async function makeShadow(task: CopyTask, target: Client, pipeline: string): Promise<number> {
  const id = await storeShadow(target, pipeline, task.mapping.source);
  const shadow = quoteRelation(shadowName(id));
  const like = `LIKE ${quoteRelation(task.target)} INCLUDING STORAGE INCLUDING COMPRESSION`;
  const others = task.target.columns.filter((column) => !isCarried(task, column.name));
  const drop = others.map(({ name }) => `DROP COLUMN ${quoteIdent(name)}`);
  await target.query(`CREATE UNLOGGED TABLE ${shadow} (${like}) WITH (autovacuum_enabled = false)`);
  if (drop.length > 0) await target.query(`ALTER TABLE ${shadow} ${drop.join(', ')}`);
  return id;
}

/** What finds a row of the shadow on the target: the columns of a key of that, all carried; null without any. */
export function mergeKey({ target, columns }: Merged): readonly Column[] | null {
  const fit = target.uniqueIndexes.filter((index) => index.primary || index.identifies);
  for (const index of fit.sort((a, b) => Number(b.primary) - Number(a.primary))) {
    const found = index.columns.map((name) => columns.find((pair) => pair.target.name === name)?.target);
    if (found.length > 0 && found.every((column) => column !== undefined)) return found;
  }
  return null;
}

/** The index by which the rows of the shadow are found, and that tells of two with the same key. */
export function shadowKeySql(shadow: RelationName, key: readonly Column[]): string {
  const names = key.map(({ name }) => quoteIdent(name)).join(', ');
  return `CREATE UNIQUE INDEX IF NOT EXISTS ${quoteIdent(`${shadow.name}_key`)} ON ${quoteRelation(shadow)} (${names})`;
}

/** Statements that make the target's table equal to the shadow. */
export interface MergeStatements {
  /** Makes a table of the places of rows that are not on both sides the same: (part, tid) on the target, sid in the shadow. */
  readonly compare: string;
  /** How many there are: missing, extra, different. */
  readonly count: string;
  readonly deleteExtra: string;
  /** Null where the values cannot be set: those rows are replaced. */
  readonly update: string | null;
  /** In the place of `update`: rows go and come anew, with what only the target has of them. */
  readonly replace: readonly string[];
  readonly insertMissing: string;
  /** In the place of all: the target's table is empty. */
  readonly fill: string;
  readonly forget: string;
}

/**
 * By the key where there is one: rows are told apart by their images, bit for bit, so that no type needs an equality. Without
 * key each image is to be there as often as in the shadow.
 */
export function mergeStatements(task: Merged, id: number, key: readonly Column[] | null): MergeStatements {
  const table = targetOf(task);
  const shadow = quoteRelation(shadowName(id));
  const places = quoteRelation({ schema: 'pgfollow', name: `difference_${id}` });
  const kept = quoteRelation({ schema: 'pgfollow', name: `kept_${id}` });
  const carried = task.columns.map((pair) => quoteIdent(pair.target.name));
  const local = task.target.columns
    .filter((column) => column.generated === 'no' && !isCarried(task, column.name))
    .map(({ name }) => quoteIdent(name));
  const here = `t.ctid = d.tid${task.target.kind === 'table' ? '' : ' AND t.tableoid = d.part'}`;
  const of = (row: string, names: readonly string[]): string => names.map((name) => `${row}.${name}`).join(', ');
  const insert = (names: readonly string[]): string =>
    `INSERT INTO ${quoteRelation(task.target)}${names.length === 0 ? '' : ` (${names.join(', ')}) OVERRIDING SYSTEM VALUE`}`;
  return {
    compare: `CREATE UNLOGGED TABLE ${places} AS ${key ? compareByKey(task, shadow, key) : compareImages(task, shadow)}`,
    count:
      `SELECT pg_catalog.count(*) FILTER (WHERE tid IS NULL) AS missing, pg_catalog.count(*) FILTER (WHERE sid IS NULL) AS extra, ` +
      `pg_catalog.count(*) FILTER (WHERE tid IS NOT NULL AND sid IS NOT NULL) AS different FROM ${places}`,
    deleteExtra: `DELETE FROM ${table} AS t USING ${places} AS d WHERE d.sid IS NULL AND ${here}`,
    update: updateSql(task.columns, key ?? [], {
      update: `UPDATE ${table} AS t`,
      from: `FROM ${places} AS d JOIN ${shadow} AS s ON s.ctid = d.sid WHERE d.tid IS NOT NULL AND ${here}`,
    }),
    replace: [
      `CREATE UNLOGGED TABLE ${kept} AS SELECT ${['d.sid', ...local.map((name, i) => `t.${name} AS v${i}`)].join(', ')} ` +
        `FROM ${places} AS d JOIN ${table} AS t ON ${here} WHERE d.sid IS NOT NULL`,
      `DELETE FROM ${table} AS t USING ${places} AS d WHERE d.sid IS NOT NULL AND ${here}`,
      `${insert([...carried, ...local])} SELECT ${[...carried.map((name) => `s.${name}`), ...local.map((_, i) => `k.v${i}`)].join(', ')} ` +
        `FROM ${kept} AS k JOIN ${shadow} AS s ON s.ctid = k.sid`,
      `DROP TABLE ${kept}`,
    ],
    insertMissing: `${insert(carried)} SELECT ${of('s', carried)} FROM ${places} AS d JOIN ${shadow} AS s ON s.ctid = d.sid WHERE d.tid IS NULL`,
    fill: `${insert(carried)} SELECT ${of('s', carried)} FROM ${shadow} AS s`,
    forget: `DROP TABLE ${places}`,
  };
}

const PLACES = 't.part, t.tid, s.sid';

function compareByKey(task: Merged, shadow: string, key: readonly Column[]): string {
  const match = key
    .map((column) => equalityExpression({ target: column }, `t.${quoteIdent(column.name)}`, `s.${quoteIdent(column.name)}`))
    .join(' AND ');
  return (
    `SELECT t.tableoid AS part, t.ctid AS tid, s.ctid AS sid FROM ${targetOf(task)} AS t FULL JOIN ${shadow} AS s ON ${match} ` +
    `WHERE t.ctid IS NULL OR s.ctid IS NULL OR ` +
    // With two ROW(…) as they are the operator would be looked for column by column.
    `${rowOf('t', task)}::pg_catalog.record OPERATOR(pg_catalog.*<>) ${rowOf('s', task)}::pg_catalog.record`
  );
}

// The nth of equal rows here is the nth of them there. Equal is what travels as the same bytes.
function compareImages(task: Merged, shadow: string): string {
  const image = (row: string): string =>
    task.binary
      ? `pg_catalog.sha256(pg_catalog.record_send(${rowOf(row, task)}))`
      : `pg_catalog.sha256(pg_catalog.textsend(${rowOf(row, task)}::pg_catalog.text))`;
  const numbered = (from: string, places: string, row: string): string =>
    `(SELECT ${places}, i.image, pg_catalog.row_number() OVER (PARTITION BY i.image) AS nth FROM ${from} AS ${row}, LATERAL (SELECT ${image(row)} AS image) AS i)`;
  return (
    `SELECT ${PLACES} FROM ${numbered(targetOf(task), 't.tableoid AS part, t.ctid AS tid', 't')} AS t ` +
    `FULL JOIN ${numbered(shadow, 's.ctid AS sid', 's')} AS s ON t.image = s.image AND t.nth = s.nth WHERE t.tid IS NULL OR s.sid IS NULL`
  );
}

function rowOf(row: string, { columns }: Merged): string {
  return `ROW(${columns.map((pair) => `${row}.${quoteIdent(pair.target.name)}`).join(', ')})`;
}

// SQL refuses to SET a GENERATED ALWAYS identity column. As part of the key it is the same anyway.
function updateSql(
  columns: readonly ColumnPair[],
  key: readonly Column[],
  { update, from }: { update: string; from: string },
): string | null {
  const fixed = columns.filter((pair) => pair.target.identity === 'always').map((pair) => pair.target);
  if (fixed.some((column) => !key.includes(column))) return null;
  const set = columns.filter((pair) => !fixed.includes(pair.target)).map((pair) => quoteIdent(pair.target.name));
  if (set.length === 0) return null;
  return `${update} SET ${set.map((name) => `${name} = s.${name}`).join(', ')} ${from}`;
}

function isCarried({ columns }: Merged, name: string): boolean {
  return columns.some((pair) => pair.target.name === name);
}
