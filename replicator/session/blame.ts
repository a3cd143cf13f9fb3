import type { Client } from 'pg';
import { connectionEnd, type Role } from '../postgres/connect.ts';
import { eventTriggerRemedy } from '../postgres/event-triggers.ts';
import { isRowSecurity } from '../postgres/row-security.ts';
import { describeError, isTransient, SQLSTATE, sqlState } from '../postgres/sqlstate.ts';
import { Problem } from '../problem.ts';

/** What an error of one server means for the pipeline. Problems pass as they are. */
export function blame(role: Role, error: unknown): Problem {
  if (error instanceof Problem) return error;
  if (sqlState(error) === null && !isTransient(error)) {
    return new Problem('INTERNAL', `A fault in pgfollow itself: ${describeError(error)}`, {
      retry: 'transient',
      cause: error,
      remedy: 'Please report this with the log. It is tried again from the checkpoint.',
    });
  }
  if (isTransient(error)) {
    return new Problem(
      role === 'source' ? 'SOURCE_UNREACHABLE' : 'TARGET_UNREACHABLE',
      `${isAnswer(error) ? `The ${role} cannot go on now` : `The connection to the ${role} failed`}: ${describeError(error)}`,
      {
        retry: 'transient',
        cause: error,
        remedy: isAnswer(error)
          ? `Look at what the message names (room on its disk, free connections, locks). It is tried again by itself.`
          : `Nothing to do if the ${role} is restarting: it is tried again until it answers. Otherwise look at its log.`,
      },
    );
  }
  return new Problem(
    role === 'source' ? 'SOURCE_UNSUITABLE' : 'TARGET_UNSUITABLE',
    `The ${role} refused a statement: ${describeError(error)}`,
    {
      retry: 'transient',
      cause: error,
      remedy: remedyFor(role, error),
    },
  );
}

function remedyFor(role: Role, error: unknown): string {
  const pass = eventTriggerRemedy(error);
  if (pass) return `${pass}\nIt is tried again by itself.`;
  if (isRowSecurity(error))
    return `Row level security applies to the role of ${role}.url. As a superuser on the ${role}:\nALTER ROLE … BYPASSRLS;\nIt is tried again by itself.`;
  // So the decoder of a source may end each time at the same change.
  if (sqlState(error) === SQLSTATE.internal_error)
    return `That is a fault within PostgreSQL: the log of the ${role} tells more, and a newer release may not have it. It is tried again by itself; where it stays, "pgfollow teardown" and a new start copy everything again.`;
  return `Give the role of ${role}.url what the message names; "pgfollow config" shows which URL is used. It is tried again by itself.`;
}

// Of a server that works, as opposed to a connection that ends (classes 08 and 57).
function isAnswer(error: unknown): boolean {
  const state = sqlState(error);
  return state !== null && !state.startsWith('08') && !state.startsWith('57');
}

/** Awaits work on one server, its errors turned into Problems. */
export async function on<T>(role: Role, work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    throw blame(role, error);
  }
}

/** Aborts the session when this connection ends, with the Problem that says so. */
export function abortAtEnd(client: Client, role: Role, session: AbortController): void {
  connectionEnd(client).then(
    (error) => session.abort(blame(role, error)),
    (error: unknown) => session.abort(blame(role, error)),
  );
}
