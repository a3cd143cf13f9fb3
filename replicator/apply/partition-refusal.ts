import { quoteRelation } from '../postgres/quote.ts';
import { isOfAnotherServer, SQLSTATE, sqlState } from '../postgres/sqlstate.ts';

/** What stands in the way of rows of a partitioned table, and what to do about it. */
export interface PartitionRefusal {
  readonly why: string;
  readonly remedy: string;
}

/** By which functions of the server: the codes alone are those of others, too, and messages are in the server's language. */
const NO_PARTITION = 'ExecFindPartition';
/** Minor releases of some versions have it under a longer name. */
const NO_TARGET_OF_WRITES = 'CheckValidResultRel';

/** Pure: why a partitioned target table has no place for a row that the source has, or a table cannot be reached; null for what was refused for other reasons. */
export function partitionRefusal(error: unknown): PartitionRefusal | null {
  const { schema, table, routine } = (error instanceof Error ? error : {}) as {
    schema?: string;
    table?: string;
    routine?: string;
  };
  if (isOfAnotherServer(error)) return FAR_SERVER;
  const state = sqlState(error);
  if (state === SQLSTATE.check_violation && routine === NO_PARTITION && schema && table)
    return noPartition({ schema, name: table });
  const refusesWrites = state === SQLSTATE.feature_not_supported || state === SQLSTATE.object_not_in_prerequisite_state;
  return refusesWrites && routine?.startsWith(NO_TARGET_OF_WRITES) ? FOREIGN_TABLE : null;
}

function noPartition(relation: { schema: string; name: string }): PartitionRefusal {
  const parent = quoteRelation(relation);
  const rest = quoteRelation({ ...relation, name: `${relation.name}_default` });
  return {
    why: `${relation.schema}.${relation.name} is partitioned on the target, and none of its partitions takes that row`,
    remedy: [
      `Create the partition on the target, with the bounds that it has on the source (its column relpartbound in pg_class, by pg_get_expr):`,
      `CREATE TABLE … PARTITION OF ${parent} FOR VALUES …;`,
      `or, but for PARTITION BY HASH, one for all that fits nowhere else:`,
      `CREATE TABLE ${rest} PARTITION OF ${parent} DEFAULT;`,
    ].join('\n'),
  };
}

const FAR_SERVER: PartitionRefusal = {
  why: 'another server, of a foreign table, does not answer',
  remedy: [
    'Start the server that the message names, or correct where it is (ALTER SERVER … OPTIONS (SET host …, SET port …)); or do without the foreign table:',
    'ALTER TABLE … DETACH PARTITION …;',
  ].join('\n'),
};

const FOREIGN_TABLE: PartitionRefusal = {
  why: 'the row belongs into a foreign table on the target, which cannot be written to',
  remedy: [
    `Where its wrapper can write, let it (ALTER FOREIGN TABLE … OPTIONS (SET updatable 'true') on the target, and the same of its server).`,
    'Else put a table in its place:',
    'ALTER TABLE … DETACH PARTITION …;',
    'CREATE TABLE … PARTITION OF … FOR VALUES …;',
  ].join('\n'),
};
