import { displayName, type RelationName } from '../catalog/relation.ts';
import { eventTriggerRemedy } from '../postgres/event-triggers.ts';
import { quoteLiteral, quoteRelation } from '../postgres/quote.ts';
import { describeError, isTransient, SQLSTATE, sqlState } from '../postgres/sqlstate.ts';
import { Problem } from '../problem.ts';
import { isBroken, isLockTrouble } from './patient-transaction.ts';

/** A table that stays out because publishing it would make writes on the source fail. */
export function notPublishable(relation: RelationName, message: string, remedy: string, cause?: unknown): Problem {
  const table = displayName(relation);
  return new Problem('TABLE_NOT_PUBLISHABLE', `${table} is not published: ${message}.`, { remedy, table, cause });
}

/**
 * What an error on the way to (or out of) the publication means for a table; `statements` are what somebody with more rights
 * would have to run. Throws the error itself where the connection is gone.
 */
export function publishProblem(
  error: unknown,
  { relation, where }: { readonly relation: RelationName; readonly where: string | null },
  statements: readonly string[],
): Problem {
  if (error instanceof Problem) return error;
  if (isBroken(error)) throw error;
  const table = displayName(relation);
  const report = (message: string, remedy: string, retry: 'transient' | 'permanent'): Problem =>
    new Problem('TABLE_NOT_PUBLISHABLE', `${table} ${message}: ${describeError(error)}`, { remedy, table, cause: error, retry });
  if (isLockTrouble(error)) {
    return report(
      'cannot be published now, because others hold locks on it',
      `It is tried again by itself. Who holds it: SELECT pid, query FROM pg_stat_activity WHERE pid IN (SELECT pid FROM pg_locks WHERE relation = ${quoteLiteral(quoteRelation(relation)).trim()}::regclass);`,
      'transient',
    );
  }
  const run = `${statements.join(';\n')};`;
  const pass = eventTriggerRemedy(error);
  if (sqlState(error) === SQLSTATE.query_canceled) {
    return report(
      'is not published, because that kept it locked for too long',
      `Something slow runs with it, an event trigger mostly. Make that faster${pass ? `; or let it pass:\n${pass}\n` : ' (SELECT * FROM pg_event_trigger); '}or run it yourself, at a quiet time:\n${run}\nIt is tried again by itself.`,
      'permanent',
    );
  }
  if (pass)
    return report(
      'cannot be published',
      `${pass}\nIt is tried again by itself. It was:\n${run}`,
      isTransient(error) ? 'transient' : 'permanent',
    );
  switch (sqlState(error)) {
    case SQLSTATE.insufficient_privilege:
      return report(
        'cannot be published by this role',
        `Make the role of source.url a member of the table's owner, or run as a superuser:\n${run}`,
        'permanent',
      );
    case SQLSTATE.undefined_table:
      return report('cannot be published', 'Nothing, if the table was dropped on purpose.', 'transient');
    default:
      return report(
        'cannot be published',
        where === null ? 'Correct it, or add the table to tables.exclude.' : 'Correct `where` of the table in tables.map.',
        isTransient(error) ? 'transient' : 'permanent',
      );
  }
}

/** A table that is wanted no more and cannot be taken out of the publication. Throws the error itself where the connection is gone. */
export function notTakenOut(error: unknown, relation: RelationName, statement: string): Problem {
  if (isBroken(error)) throw error;
  const table = displayName(relation);
  const pass = eventTriggerRemedy(error);
  return new Problem(
    'TABLE_NOT_PUBLISHABLE',
    `${table} is not followed, but could not be taken out of the publication: ${describeError(error)}`,
    {
      remedy: `Nothing is wrong but that its changes travel for nothing. It is tried again when other tables are followed, and at the next start.${pass ? `\n${pass}` : ''}\nOr run:\n${statement};`,
      table,
      cause: error,
    },
  );
}
