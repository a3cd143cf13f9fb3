import type { Client } from 'pg';
import { connectionEnd, type Role } from '../postgres/connect.ts';
import { describeError, isTransient } from '../postgres/sqlstate.ts';
import { Problem } from '../problem.ts';

/** What an error of one server means for the pipeline. Problems pass as they are. */
export function blame(role: Role, error: unknown): Problem {
  if (error instanceof Problem) return error;
  if (isTransient(error)) {
    return new Problem(
      role === 'source' ? 'SOURCE_UNREACHABLE' : 'TARGET_UNREACHABLE',
      `The connection to the ${role} failed: ${describeError(error)}`,
      {
        retry: 'transient',
        cause: error,
        remedy: `Nothing to do if the ${role} is restarting: it is tried again until it answers. Otherwise look at its log.`,
      },
    );
  }
  return new Problem(
    role === 'source' ? 'SOURCE_UNSUITABLE' : 'TARGET_UNSUITABLE',
    `The ${role} refused a statement: ${describeError(error)}`,
    {
      retry: 'transient',
      cause: error,
      remedy: `Give the role of ${role}.url what the message names; "pgfollow config" shows which URL is used. It is tried again by itself.`,
    },
  );
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
