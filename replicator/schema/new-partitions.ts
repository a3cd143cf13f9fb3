import type { Client } from 'pg';
import { displayName, type Relation, type RelationName } from '../catalog/relation.ts';
import { quoteRelation } from '../postgres/quote.ts';
import { memberTarget } from './definition.ts';
import type { Piece } from './piece.ts';
import type { MissingTable } from './plan-creation.ts';
import { readTrees } from './read-definitions.ts';
import { schemaId, schemaPiece } from './read-needs.ts';

/**
 * Partitions that the source has and the target lacks, of partitioned tables that we have made. The target's server gives
 * them what their table has there: columns, indexes, constraints.
 */
export async function planPartitions(
  { source, target }: { source: Client; target: Client },
  tables: readonly MissingTable[],
): Promise<Piece[]> {
  const partitioned = tables.filter((table) => table.source.kind === 'partitioned');
  if (partitioned.length === 0) return [];
  const trees = await readTrees(
    source,
    partitioned.map(({ source: { oid }, mapping }) => ({ oid, mapping })),
  );
  const there = await existing(
    target,
    trees.flatMap(({ mapping, members }) => members.map((member) => memberTarget(mapping, member))),
  );
  return trees.flatMap(({ mapping, members }) =>
    members.flatMap((member): Piece[] => {
      const name = memberTarget(mapping, member);
      const parent = members.find(({ oid }) => member.parents.includes(oid));
      if (!parent || there.has(displayName(name))) return [];
      const key = member.partitionKey === null ? '' : ` PARTITION BY ${member.partitionKey}`;
      const sql = `CREATE TABLE ${quoteRelation(name)} PARTITION OF ${quoteRelation(memberTarget(mapping, parent))} ${member.bound}${key}`;
      return [
        schemaPiece(name.schema),
        {
          id: `partition ${member.oid}`,
          label: `partition ${displayName(name)}`,
          needs: [schemaId(name.schema), `partition ${parent.oid}`],
          address: { type: 'table', names: [name.schema, name.name], args: [] },
          sql: [sql],
          table: null,
        },
      ];
    }),
  );
}

async function existing(target: Client, names: readonly RelationName[]): Promise<Set<string>> {
  const { rows } = await target.query<Pick<Relation, 'schema' | 'name'>>(
    `SELECT n.nspname AS schema, c.relname AS name FROM pg_catalog.pg_class c
       JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
      WHERE (n.nspname::text, c.relname::text) IN (SELECT * FROM unnest($1::pg_catalog.text[], $2::pg_catalog.text[]))`,
    [names.map(({ schema }) => schema), names.map(({ name }) => name)],
  );
  return new Set(rows.map(displayName));
}
