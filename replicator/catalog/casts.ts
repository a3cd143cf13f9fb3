import type { Client } from 'pg';
import { TYPE_OID, type Oid } from '../postgres/oid.ts';
import { isBuiltIn } from './built-in.ts';
import type { ColumnType } from './relation.ts';

/** Whether the target can turn a value of one built-in type into another. */
export type CastExists = (sourceType: Oid, targetType: Oid) => boolean;

/**
 * The casts of a database: what pg_cast lists, the same for arrays element by element, and the I/O conversion to and
 * from string types that PostgreSQL provides for all.
 * https://www.postgresql.org/docs/current/sql-createcast.html
 */
export async function readCasts(client: Client): Promise<CastExists> {
  const { rows: casts } = await client.query<{ source: Oid; target: Oid }>(
    'select castsource as source, casttarget as target from pg_catalog.pg_cast where castsource <> casttarget',
  );
  const { rows: types } = await client.query<{ oid: Oid; element: Oid | null; string: boolean }>(
    `select oid, typcategory = 'S' as string,
       case when typsubscript = 'pg_catalog.array_subscript_handler'::pg_catalog.regproc then typelem end as element
     from pg_catalog.pg_type
     where typcategory = 'S' or typsubscript = 'pg_catalog.array_subscript_handler'::pg_catalog.regproc`,
  );
  const listed = new Set(casts.map(({ source, target }) => `${source} ${target}`));
  const elements = new Map(types.flatMap(({ oid, element }) => (element === null ? [] : [[oid, element] as const])));
  const strings = new Set(types.filter((type) => type.string).map((type) => type.oid));
  const castExists: CastExists = (source, target) => {
    if (source === target || strings.has(source) || strings.has(target) || listed.has(`${source} ${target}`)) return true;
    const [from, to] = [elements.get(source), elements.get(target)];
    return from !== undefined && to !== undefined && castExists(from, to);
  };
  return castExists;
}

/**
 * The casts that carry values from one database to the other: the source casts what is copied, the target what is streamed.
 * A newer version has some that an older one lacks.
 */
export async function readCastsOfBoth(source: Client, target: Client): Promise<CastExists> {
  const [there, here] = await Promise.all([readCasts(source), readCasts(target)]);
  return (from, to) => here(from, to) && (!needsCast(from, to) || there(from, to));
}

/**
 * Whether values of the source's type fit into the target's: the same built-in type (also behind domains), a cast between
 * built-in types, or a user-defined type of the same kind and name, in whatever schema: its OID means nothing on the target.
 */
export function typeFits(source: ColumnType, target: ColumnType, castExists: CastExists): boolean {
  if (isBuiltIn(source.baseOid) && isBuiltIn(target.baseOid)) return castExists(source.baseOid, target.baseOid);
  if (sameTypeName(source, target)) return true;
  // Any value has a text form, and any type is read from one.
  return STRING_TYPES.includes(source.baseOid) || STRING_TYPES.includes(target.baseOid);
}

/**
 * Whether values of a built-in type have to be cast into another: the text of a boolean is no integer, that of a numeric not
 * always one. Otherwise the text of the one is read as the other, which is what PostgreSQL's own replication does, and what
 * loses least: a cast of 0.1::real to double precision gives 0.10000000149011612.
 */
export function needsCast(source: Oid, target: Oid): boolean {
  if (source === target || !isBuiltIn(source) || !isBuiltIn(target)) return false;
  if (NAMES_AND_TEXT.includes(source) || NAMES_AND_TEXT.includes(target)) return false;
  return !(READ_AS.get(source)?.includes(target) ?? false);
}

const { int2, int4, int8, float4, float8, numeric, date, timestamp, timestamptz, json, jsonb } = TYPE_OID;
const READ_AS: ReadonlyMap<Oid, readonly Oid[]> = new Map<Oid, readonly Oid[]>([
  [int2, [int4, int8, numeric, float4, float8]],
  [int4, [int2, int8, numeric, float4, float8]],
  [int8, [int2, int4, numeric, float4, float8]],
  [numeric, [float4, float8]],
  [float4, [float8, numeric]],
  [float8, [float4, numeric]],
  [date, [timestamp, timestamptz]],
  [timestamp, [timestamptz]],
  [timestamptz, [timestamp]],
  [json, [jsonb]],
  [jsonb, [json]],
]);
const NAMES_AND_TEXT: readonly Oid[] = [TYPE_OID.text, TYPE_OID.varchar, TYPE_OID.bpchar, TYPE_OID.name, TYPE_OID.char];

/** The same kind of type, of the same name, in whatever schema. */
export function sameTypeName(source: ColumnType, target: ColumnType): boolean {
  return source.kind === target.kind && unqualified(source.sqlName) === unqualified(target.sqlName);
}

const STRING_TYPES: readonly Oid[] = [TYPE_OID.text, TYPE_OID.varchar, TYPE_OID.bpchar];

/** `public."My Type"[]` -> `"My Type"[]` */
export function unqualified(sqlName: string): string {
  return sqlName.replace(/^(?:"(?:[^"]|"")*"|[^".]+)\.(?=.)/, '');
}
