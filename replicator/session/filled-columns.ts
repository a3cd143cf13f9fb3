import type { Client } from 'pg';
import { targetColumn } from '../catalog/create-table.ts';
import type { Relation, TableMapping } from '../catalog/relation.ts';
import type { StoredColumns } from '../metadata/table-states.ts';
import type { Oid } from '../postgres/oid.ts';
import { on } from './blame.ts';

/** What rows that were there hold in a column that was added later: a value as text, NULL, or nobody can tell (one of its own each, most likely). */
type Fill = { readonly value: string | null } | 'unknown';

/**
 * Whether columns that have come to the source hold something else in the rows that were there than the target's do: a DEFAULT fills them without a
 * word in the stream. Where both sides have filled them with the same, or not at all, nothing is asked of anybody.
 */
export async function areFilledOtherwise(
  ends: { source: Client; target: Client },
  { mapping, source, target }: { mapping: TableMapping; source: Relation; target: Relation | null },
  before: StoredColumns | null,
): Promise<boolean> {
  if (!before) return false;
  const names = new Set(before.map(([name]) => name));
  const places = new Set(before.map(([, attnum]) => attnum));
  const added = source.columns.filter(
    ({ name, attnum, generated }) =>
      generated === 'no' && !names.has(name) && !places.has(attnum) && !mapping.excludeColumns.includes(name),
  );
  if (added.length === 0) return false;
  const theirs = await on('source', readFills(ends.source, source.oid));
  const ours = target ? await on('target', readFills(ends.target, target.oid)) : new Map<string, ReadFill>();
  return added.some(({ name }) => !isSame(onSource(theirs.get(name)), onTarget(ours.get(targetColumn(name, mapping)))));
}

function isSame(a: Fill, b: Fill): boolean {
  return a !== 'unknown' && b !== 'unknown' && a.value === b.value;
}

interface ReadFill {
  readonly name: string;
  readonly missing: string | null;
  readonly has_default: boolean;
  readonly by_row: boolean;
}

// A DEFAULT that gives each row a value of its own has the table written anew. Any other that left no value behind was set later, and fills nothing.
function onSource(fill: ReadFill | undefined): Fill {
  return fill?.by_row && fill.missing === null ? 'unknown' : { value: fill?.missing ?? null };
}

// It may have been there for long.
function onTarget(fill: ReadFill | undefined): Fill {
  return fill?.has_default && fill.missing === null ? 'unknown' : { value: fill?.missing ?? null };
}

/**
 * Since 11 the value that older rows have in a column is kept in pg_attribute; of a partitioned table, of its partitions. Functions of a DEFAULT are
 * looked for in its stored form. https://www.postgresql.org/docs/current/catalog-pg-attribute.html
 */
async function readFills(client: Client, table: Oid): Promise<ReadonlyMap<string, ReadFill>> {
  const { rows } = await client.query<ReadFill>(
    `SELECT a.attname AS name, a.attmissingval::pg_catalog.text AS missing, a.atthasdef OR a.attidentity <> '' AS has_default,
            a.attidentity <> '' OR EXISTS (
              SELECT FROM pg_catalog.pg_attrdef d, pg_catalog.regexp_matches(d.adbin::pg_catalog.text, ':(?:op)?funcid (\\d+)', 'g') AS m,
                          pg_catalog.pg_proc p
               WHERE d.adrelid = a.attrelid AND d.adnum = a.attnum AND p.oid = m[1]::pg_catalog.oid AND p.provolatile = 'v') AS by_row
       FROM pg_catalog.pg_attribute a
      WHERE a.attrelid = coalesce((SELECT relid FROM pg_catalog.pg_partition_tree($1::pg_catalog.oid::pg_catalog.regclass) WHERE isleaf LIMIT 1), $1::pg_catalog.oid)
        AND a.attnum > 0 AND NOT a.attisdropped`,
    [table],
  );
  return new Map(rows.map((row) => [row.name, row]));
}
