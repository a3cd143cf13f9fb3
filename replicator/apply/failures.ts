import { displayName, type TableMapping } from '../catalog/relation.ts';
import { describeError, isOfAnotherServer, isTransient, SQLSTATE, sqlState } from '../postgres/sqlstate.ts';
import type { PipeError } from '../postgres/statement-pipe.ts';
import { Problem } from '../problem.ts';
import type { PlannedChange } from './plan.ts';
import { reasonOf, remedyFor } from './remedies.ts';
import type { Run } from './run.ts';
import { describeKey } from './tuple.ts';

/** Why the target refused a statement of a batch, as a Problem; a transient error as it is. */
export function explain(error: PipeError, run: Run, checkpointStatement: number): unknown {
  const { cause } = error;
  if (error.statement === checkpointStatement && sqlState(cause) === SQLSTATE.division_by_zero) return checkpointLost(cause);
  if (isTransient(cause) && !isOfAnotherServer(cause)) return cause;
  const planned = run.change(error.statement);
  const truncated = run.truncated(error.statement);
  const fired = run.firedBy(error.statement);
  const map = planned?.map ?? truncated[0] ?? fired;
  const what = planned
    ? describeChange(planned)
    : truncated.length > 0
      ? `TRUNCATE of ${truncated.map((map) => map.table).join(', ')}`
      : fired
        ? `COMMIT, with which deferred triggers of ${fired.table} fire`
        : 'COMMIT';
  return new Problem('APPLY_FAILED', `The target refused the ${what}: ${reasonOf(cause, map)}`, {
    retry: 'transient',
    cause,
    remedy: remedyFor(cause, map),
    ...(map === null ? {} : { table: map.table }),
  });
}

function describeChange({ change, map }: PlannedChange): string {
  const tuple = change.kind === 'delete' ? change.old.tuple : change.row;
  return `${change.kind.toUpperCase()} of ${map.table} (${describeKey(map, tuple)})`;
}

/** The checkpoint was not where it was left: division by zero in moveCheckpointSql(). */
export function checkpointLost(cause: unknown): Problem {
  return new Problem(
    'CHECKPOINT_LOST',
    'The checkpoint on the target is not where this process left it; nothing was committed.',
    {
      cause,
      retry: 'transient',
      remedy:
        'Make sure that only one pgfollow of this name writes to this target. It starts again from the checkpoint as it is now.',
    },
  );
}

/** A lock, a full disk: the table waits for its next turn, and nobody else for it. */
export function cannotNow(mapping: TableMapping, cause: unknown): Problem {
  const table = displayName(mapping.source);
  return new Problem('APPLY_FAILED', `Kept changes of ${table} could not be applied: ${describeError(cause)}`, {
    table,
    cause,
    retry: 'transient',
    remedy: 'It is tried again by itself.',
  });
}

/** What one table alone has brought about. */
export function isTableFault(error: unknown): error is Problem {
  return error instanceof Problem && error.table !== null && TABLE_FAULTS.has(error.code);
}

const TABLE_FAULTS: ReadonlySet<string> = new Set([
  'APPLY_FAILED',
  'ROW_MISSING',
  'TARGET_COLUMN_MISSING',
  'TARGET_COLUMN_TYPE',
  'TARGET_TABLE_MISSING',
  'TYPE_EXCHANGED',
  'VALUE_NOT_SENT',
]);
