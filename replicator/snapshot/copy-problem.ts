import { partitionRefusal } from '../apply/partition-refusal.ts';
import { reasonOf } from '../apply/remedies.ts';
import { displayName } from '../catalog/relation.ts';
import { isFromSource } from '../postgres/copy-relay.ts';
import { eventTriggerRemedy } from '../postgres/event-triggers.ts';
import { quoteRelation } from '../postgres/quote.ts';
import { rowSecurityRefusal, type RowSecurityRefusal } from '../postgres/row-security.ts';
import { isTransient, SQLSTATE, sqlState } from '../postgres/sqlstate.ts';
import { Problem } from '../problem.ts';
import type { CopyTask } from './copy-table.ts';

type Copied = Pick<CopyTask, 'mapping' | 'source'>;

/** The state that a table was to be copied as of cannot be had any more: nothing is wrong with the table, it is copied as of another one. */
export function isPointLost(error: unknown): error is Problem {
  return error instanceof Problem && (error.code === 'SNAPSHOT_LOST' || error.code === 'TABLE_REWRITTEN');
}

/** What stands in the way of a table's copy. */
export function copyProblem(task: Copied, error: unknown): Problem {
  const table = displayName(task.mapping.source);
  if (error instanceof Problem && error.table !== null) return error;
  const hidden = hiddenFrom(task, error);
  return new Problem('COPY_FAILED', `Copying ${table} failed: ${hidden ? `${hidden.why}: ` : ''}${reasonOf(error)}`, {
    table,
    cause: error,
    retry: isTransient(error) ? 'transient' : 'permanent',
    remedy: remedyFor(task, error),
  });
}

function hiddenFrom({ source, mapping: { target } }: Copied, error: unknown): RowSecurityRefusal | null {
  const role = isFromSource(error) ? 'source' : 'target';
  return rowSecurityRefusal(error, { role, relation: role === 'source' ? source : target });
}

function remedyFor(task: Copied, error: unknown): string {
  const { source } = task;
  const { target } = task.mapping;
  const state = sqlState(error);
  const placeless = partitionRefusal(error);
  const told = (placeless ?? hiddenFrom(task, error))?.remedy ?? eventTriggerRemedy(error);
  if (told) return `${told}\nIt is tried again by itself.`;
  if (state === SQLSTATE.insufficient_privilege)
    return isFromSource(error)
      ? `Grant the role of source.url the right to read it:\nGRANT SELECT ON ${quoteRelation(source)} TO …;\nIt is tried again by itself.`
      : `Grant the role of target.url the rights to write it:\nGRANT SELECT, INSERT, UPDATE, DELETE, TRUNCATE ON ${quoteRelation(target)} TO …;\nIt is tried again by itself.`;
  const accept = `Make ${quoteRelation(target)} on the target accept the rows of ${quoteRelation(source)}. It is tried again by itself.`;
  // Its name, or a column's, may just have gone on the source: the next look at the catalog knows.
  if (state === SQLSTATE.undefined_table || state === SQLSTATE.undefined_column)
    return `Nothing where it was renamed, dropped or altered on either side just now: it is tried again by itself. Otherwise make ${quoteRelation(target)} on the target what ${quoteRelation(source)} is on the source.`;
  if (state !== SQLSTATE.foreign_key_violation) return accept;
  return `${accept} Foreign keys are not checked where the role may SET session_replication_role (PostgreSQL 15 and newer: GRANT SET ON PARAMETER session_replication_role TO …).`;
}
