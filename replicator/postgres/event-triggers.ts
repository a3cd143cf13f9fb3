import type { Client } from 'pg';
import type { Role } from './connect.ts';
import { quoteIdent } from './quote.ts';
import { SQLSTATE, sqlState } from './sqlstate.ts';

/** Somebody's event trigger that has stopped a statement of ours. */
interface RaisedBy {
  readonly trigger: string;
  /** Its function, quoted. */
  readonly calls: string;
  readonly role: Role;
}

// What the error says of where it comes from is in the server's language; names of functions are not.
const RAISED_BY = `SELECT e.evtname AS name, pg_catalog.format('%I.%I', n.nspname, p.proname) AS calls
  FROM pg_catalog.pg_event_trigger e JOIN pg_catalog.pg_proc p ON p.oid = e.evtfoid JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
 WHERE e.evtenabled <> 'D' AND pg_catalog.strpos($1, p.proname) > 0 ORDER BY pg_catalog.length(p.proname) DESC, e.evtname LIMIT 1`;

/**
 * Runs DDL. Where an event trigger of that database has raised the error, the error says so from then on (see describeError()). `work` leaves no
 * transaction that has failed behind.
 */
export async function namingEventTriggers<T>(client: Client, role: Role, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    await nameEventTrigger(client, role, error);
    throw error;
  }
}

/** As namingEventTriggers(), for an error that was caught already. */
export async function nameEventTrigger(client: Client, role: Role, error: unknown): Promise<void> {
  const { where } = (error instanceof Error ? error : {}) as { where?: string };
  if (!where || sqlState(error) === null || raisedBy(error)) return;
  const looked = await client.query<{ name: string; calls: string }>(RAISED_BY, [where]).catch(() => null);
  const row = looked?.rows[0];
  if (row) Object.assign(error as Error, { raisedBy: { trigger: row.name, calls: row.calls, role } satisfies RaisedBy });
}

/** Names that a function does not find under our empty search_path. */
const NOT_FOUND: ReadonlySet<string | null> = new Set([
  SQLSTATE.undefined_table,
  SQLSTATE.undefined_function,
  SQLSTATE.undefined_object,
  SQLSTATE.undefined_column,
]);

/** What lets our statement pass, with the SQL; null for what no event trigger has raised. */
export function eventTriggerRemedy(error: unknown): string | null {
  const by = raisedBy(error);
  if (!by) return null;
  const path = `ALTER FUNCTION ${by.calls}() SET search_path = public;`;
  if (NOT_FOUND.has(sqlState(error)))
    return `The function of the event trigger runs with an empty search_path, as all that pgfollow does. Run on the ${by.role}, with the schemas that it needs:\n${path}`;
  return (
    `Let the event trigger on the ${by.role} pass what the role of ${by.role}.url does, in its function ${by.calls}(); or run there:\n` +
    `ALTER EVENT TRIGGER ${quoteIdent(by.trigger)} DISABLE;`
  );
}

function raisedBy(error: unknown): RaisedBy | null {
  return (error instanceof Error && (error as { raisedBy?: RaisedBy }).raisedBy) || null;
}
