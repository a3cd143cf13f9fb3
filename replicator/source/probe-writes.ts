import type { Client } from 'pg';
import type { Relation, RelationName } from '../catalog/relation.ts';
import { quoteIdent, quoteRelation } from '../postgres/quote.ts';
import { describeError, SQLSTATE, sqlState } from '../postgres/sqlstate.ts';
import { isBroken, isLockTrouble } from './patient-transaction.ts';
import { notPublishable } from './publish-problem.ts';
import type { WriteFault } from './write-fault.ts';

// Whether a table takes UPDATE and DELETE as it is published in the transaction under way. EXPLAIN starts the executor, and with it the
// check that such a statement itself would meet, without running a trigger or touching a row.

const PROBE = 'pgfollow_probe';

/**
 * Throws TABLE_NOT_PUBLISHABLE where the server would not accept UPDATE and DELETE any more; leaves a savepoint behind. Where the role may
 * not UPDATE, our own copy of the rules must do: `fault` is what these say.
 */
export async function proveWritable(
  client: Client,
  { relation, partitions }: { readonly relation: Relation; readonly partitions: readonly Relation[] },
  fault: WriteFault | null,
): Promise<void> {
  await client.query(`SAVEPOINT ${PROBE}`);
  try {
    for (const statement of probesOf(relation)) await client.query(statement);
  } catch (error) {
    if (isBroken(error) || isLockTrouble(error)) throw error;
    if (sqlState(error) !== SQLSTATE.insufficient_privilege) {
      if (await takenByEach(client, partitions)) return;
      throw notPublishable(
        relation,
        `the source would then refuse its UPDATEs and DELETEs: ${describeError(error)}`,
        fault?.remedy ?? 'Add it to tables.exclude.',
        error,
      );
    }
    if (fault) throw notPublishable(relation, fault.message, fault.remedy);
    await client.query(`ROLLBACK TO ${PROBE}`);
  }
}

// A foreign table among the partitions may refuse what goes through the table at any time: it is not what is published.
async function takenByEach(client: Client, partitions: readonly Relation[]): Promise<boolean> {
  const leaves = partitions.filter((leaf) => leaf.kind === 'table');
  try {
    await client.query(`ROLLBACK TO ${PROBE}`);
    for (const statement of leaves.flatMap(probesOf)) await client.query(statement);
    return leaves.length > 0;
  } catch (error) {
    if (isBroken(error) || isLockTrouble(error)) throw error;
    await client.query(`ROLLBACK TO ${PROBE}`);
    return false;
  }
}

/**
 * The same of a table that is published already, when the publication's options are other ones. Gives up the lock it took. Where the role may
 * not DELETE, or policies apply to it, it is what the rules say.
 */
export async function keepsTakingWrites(client: Client, table: RelationName, fault: WriteFault | null): Promise<boolean> {
  try {
    // With both published, what is checked for DELETE is checked for UPDATE too. Going back gives up the lock.
    const probe = `EXPLAIN DELETE FROM ${quoteRelation(table)}`;
    await client.query(`SAVEPOINT ${PROBE}; ${probe}; ROLLBACK TO ${PROBE}; RELEASE ${PROBE}`);
    return true;
  } catch (error) {
    if (isBroken(error) || isLockTrouble(error)) throw error;
    await client.query(`ROLLBACK TO ${PROBE}; RELEASE ${PROBE}`);
    return sqlState(error) === SQLSTATE.insufficient_privilege && fault === null;
  }
}

/**
 * What a table is asked by. For a partitioned table this covers every leaf. A generated or identity column can only be set to DEFAULT, so any
 * column that is neither is preferred.
 */
export function probesOf(relation: Relation): string[] {
  const table = relation.kind === 'partitioned' ? quoteRelation(relation) : `ONLY ${quoteRelation(relation)}`;
  const column =
    relation.columns.find(({ generated, identity }) => generated === 'no' && identity !== 'always') ?? relation.columns[0];
  const name = column && quoteIdent(column.name);
  const settable = column?.generated === 'no' && column.identity !== 'always';
  return [
    ...(name ? [`EXPLAIN UPDATE ${table} SET ${name} = ${settable ? name : 'DEFAULT'}`] : []),
    `EXPLAIN DELETE FROM ${table}`,
  ];
}
