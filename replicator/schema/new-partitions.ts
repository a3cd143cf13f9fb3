import type { Client } from 'pg';
import { displayName } from '../catalog/relation.ts';
import { quoteRelation } from '../postgres/quote.ts';
import { memberTarget } from './definition.ts';
import { existingNames } from './existing-names.ts';
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
  const there = await existingNames(
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
