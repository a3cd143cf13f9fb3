import type { Client } from 'pg';
import type { Oid } from '../postgres/oid.ts';
import { quoteLiteral, quoteRelation } from '../postgres/quote.ts';
import { targetColumn } from './create-table.ts';
import { displayName, type RelationName, type TableMapping } from './relation.ts';

/** A sequence of a database. */
export interface Sequence extends RelationName {
  readonly oid: Oid;
  readonly ascending: boolean;
  /** The role may see how far it is. */
  readonly readable: boolean;
}

/** A column that takes its values from a sequence: serial, identity, or with nextval() in its DEFAULT. */
export interface SequenceUse {
  readonly table: RelationName;
  readonly column: string;
  readonly sequence: Sequence;
}

/** A sequence of the source, and the one of the target that does its work there. */
export interface SequencePair {
  /** `schema.table` on the source, where it is used. */
  readonly table: string;
  readonly source: Sequence;
  readonly target: Sequence;
}

const SEQUENCE = `s.oid, sn.nspname as schema, s.relname as name, q.seqincrement > 0 as ascending,
  pg_catalog.has_sequence_privilege(s.oid, 'USAGE, SELECT') as readable
from pg_catalog.pg_class s
join pg_catalog.pg_namespace sn on sn.oid = s.relnamespace
join pg_catalog.pg_sequence q on q.seqrelid = s.oid`;

// What belongs to a column depends on it; what its DEFAULT names, the DEFAULT depends on.
const USES = `with used (relation, attnum, sequence) as (
  select d.refobjid, d.refobjsubid, d.objid from pg_catalog.pg_depend d
  where d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass and d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass
    and d.deptype in ('a', 'i') and d.refobjsubid > 0
  union
  select e.adrelid, e.adnum, d.refobjid from pg_catalog.pg_depend d join pg_catalog.pg_attrdef e on e.oid = d.objid
  where d.classid = 'pg_catalog.pg_attrdef'::pg_catalog.regclass and d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass
)
select n.nspname as table_schema, c.relname as table_name, a.attname as column, ${SEQUENCE}
join used on used.sequence = s.oid
join pg_catalog.pg_attribute a on a.attrelid = used.relation and a.attnum = used.attnum and not a.attisdropped
join pg_catalog.pg_class c on c.oid = a.attrelid
join pg_catalog.pg_namespace n on n.oid = c.relnamespace
where (n.nspname::text, c.relname::text) in (select * from unnest($1::pg_catalog.text[], $2::pg_catalog.text[]))
order by n.nspname, c.relname, a.attnum, s.oid`;

type SequenceRow = { oid: Oid; schema: string; name: string; ascending: boolean; readable: boolean };

/** Which columns of these tables take their values from which sequences. Takes no lock. */
export async function readSequenceUses(client: Client, tables: readonly RelationName[]): Promise<SequenceUse[]> {
  const { rows } = await client.query<SequenceRow & { table_schema: string; table_name: string; column: string }>(USES, [
    tables.map(({ schema }) => schema),
    tables.map(({ name }) => name),
  ]);
  return rows.map(({ table_schema, table_name, column, ...sequence }) => ({
    table: { schema: table_schema, name: table_name },
    column,
    sequence,
  }));
}

/** The sequences among these names. */
export async function readSequences(client: Client, names: readonly RelationName[]): Promise<Sequence[]> {
  if (names.length === 0) return [];
  const { rows } = await client.query<SequenceRow>(
    `select ${SEQUENCE}
     where (sn.nspname::text, s.relname::text) in (select * from unnest($1::pg_catalog.text[], $2::pg_catalog.text[]))`,
    [names.map(({ schema }) => schema), names.map(({ name }) => name)],
  );
  return rows;
}

/** How far a sequence is: the value that it gave last, or is going to give first. Text, because it is a bigint. */
export interface SequencePlace {
  readonly value: string;
  readonly given: boolean;
}

/** Sequences that have not given a value are read in one statement each so many. */
const A_STATEMENT = 100;

/** How far these sequences are that have not given a value yet: RESTART and setval() have moved them all the same. Waits as readSequenceValues(). */
export async function readUnusedSequences(client: Client, sequences: readonly Sequence[]): Promise<Map<Oid, SequencePlace>> {
  const places = new Map<Oid, SequencePlace>();
  for (let from = 0; from < sequences.length; from += A_STATEMENT) {
    const each = sequences
      .slice(from, from + A_STATEMENT)
      .map(
        (sequence) =>
          `SELECT ${sequence.oid}::pg_catalog.oid AS oid, last_value::pg_catalog.text AS value, is_called FROM ${quoteRelation(sequence)}`,
      );
    const sql = `SET LOCAL lock_timeout = '250ms'; ${each.join(' UNION ALL ')}`;
    const results = (await client.query(sql)) as unknown as { rows: { oid: Oid; value: string; is_called: boolean }[] }[];
    for (const { oid, value, is_called } of results.at(-1)?.rows ?? []) places.set(oid, { value, given: is_called });
  }
  return places;
}

/**
 * How far each sequence is, in one query; those that have not given a value yet are left out, and so are those that are
 * gone. Waits for no lock longer than a quarter of a second: then it throws lock_not_available.
 */
export async function readSequenceValues(client: Client, oids: readonly Oid[]): Promise<Map<Oid, string>> {
  const sql = `SET LOCAL lock_timeout = '250ms';
    SELECT oid, value FROM (
      SELECT c.oid, pg_catalog.pg_sequence_last_value(c.oid)::pg_catalog.text AS value
        FROM pg_catalog.pg_class c
       WHERE c.oid = ANY (${quoteLiteral(`{${oids.join()}}`)}::pg_catalog.oid[]) AND c.relkind = 'S'
         AND (c.relpersistence = 'p' OR NOT pg_catalog.pg_is_in_recovery())
    ) each WHERE value IS NOT NULL`;
  const results = (await client.query(sql)) as unknown as { rows: { oid: Oid; value: string }[] }[];
  return new Map(results.at(-1)?.rows.map(({ oid, value }) => [oid, value]));
}

/**
 * Pure: which sequence of the target stands for which of the source. By the column, whatever the sequences are called; where
 * the target's column has none, by the name. A sequence that the target does not have is left out.
 */
export function pairSequences(
  mappings: readonly TableMapping[],
  { source, target, named }: { source: readonly SequenceUse[]; target: readonly SequenceUse[]; named: readonly Sequence[] },
): SequencePair[] {
  const byTable = new Map(mappings.map((mapping) => [displayName(mapping.source), mapping]));
  const byColumn = new Map(target.map((use) => [columnKey(use.table, use.column), use.sequence]));
  const byName = new Map(named.map((sequence) => [displayName(sequence), sequence]));
  const pairs = new Map<string, SequencePair>();
  for (const { table, column, sequence } of source) {
    const mapping = byTable.get(displayName(table));
    if (!mapping || mapping.excludeColumns.includes(column)) continue;
    const there = byColumn.get(columnKey(mapping.target, targetColumn(column, mapping))) ?? byName.get(displayName(sequence));
    if (there) pairs.set(`${sequence.oid} ${there.oid}`, { table: displayName(table), source: sequence, target: there });
  }
  return [...pairs.values()];
}

function columnKey(table: RelationName, column: string): string {
  return JSON.stringify([table.schema, table.name, column]);
}
