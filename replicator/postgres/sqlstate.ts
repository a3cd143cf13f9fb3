/** SQLSTATEs that decisions are made on, by the names of https://www.postgresql.org/docs/current/errcodes-appendix.html */
export const SQLSTATE = {
  cannot_connect: '08001',
  connection_does_not_exist: '08003',
  connection_failure: '08006',
  feature_not_supported: '0A000',
  division_by_zero: '22012',
  invalid_parameter_value: '22023',
  untranslatable_character: '22P05',
  not_null_violation: '23502',
  foreign_key_violation: '23503',
  unique_violation: '23505',
  check_violation: '23514',
  exclusion_violation: '23P01',
  invalid_authorization_specification: '28000',
  invalid_password: '28P01',
  invalid_catalog_name: '3D000',
  insufficient_privilege: '42501',
  undefined_column: '42703',
  undefined_object: '42704',
  undefined_function: '42883',
  duplicate_object: '42710',
  undefined_table: '42P01',
  too_many_connections: '53300',
  object_not_in_prerequisite_state: '55000',
  object_in_use: '55006',
  lock_not_available: '55P03',
  query_canceled: '57014',
  internal_error: 'XX000',
} as const;

/** The SQLSTATE of an error that a server sent, else null. */
export function sqlState(error: unknown): string | null {
  if (!(error instanceof Error) || !('code' in error) || typeof error.code !== 'string') return null;
  return /^[0-9A-Z]{5}$/.test(error.code) && 'severity' in error ? error.code : null;
}

// Classes whose errors go away by themselves: connection, resources, operator intervention, serialization, locks.
const TRANSIENT_CLASSES = new Set(['08', '53', '57']);
const TRANSIENT_STATES = new Set<string>(['40001', '40P01', '25006', SQLSTATE.lock_not_available, SQLSTATE.object_in_use]);

/** Whether the same statement may succeed later without anybody's help: a lost link, a restart, a lock, a full disk. */
export function isTransient(error: unknown): boolean {
  const state = sqlState(error);
  if (state !== null) return TRANSIENT_CLASSES.has(state.slice(0, 2)) || TRANSIENT_STATES.has(state);
  // What is no answer of a server is a broken link: a socket error, or a connection that ended under us.
  return error instanceof Error && ('syscall' in error || /^Connection terminated|^Client |timeout/i.test(error.message));
}

const OF_CONNECTIONS: readonly string[] = [
  SQLSTATE.cannot_connect,
  SQLSTATE.connection_does_not_exist,
  SQLSTATE.connection_failure,
];

/**
 * Whether a server says that it does not reach another one, that of a foreign table for instance: the connection to itself is sound.
 * Only PostgreSQL itself, as opposed to a pooler before it, names the function that has said so.
 */
export function isOfAnotherServer(error: unknown): boolean {
  return OF_CONNECTIONS.includes(sqlState(error) ?? '') && typeof (error as { routine?: unknown }).routine === 'string';
}

/** Message, detail and hint of a server's error in one line, and the event trigger that has raised it; the message alone for any other error. */
export function describeError(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const { raisedBy } = error as { raisedBy?: { trigger: string; calls: string } };
  const parts = [
    ...(raisedBy ? [`event trigger ${raisedBy.trigger} (function ${raisedBy.calls}) has raised:`] : []),
    error.message || ('code' in error ? String(error.code) : error.name),
  ];
  if ('detail' in error && typeof error.detail === 'string') parts.push(error.detail);
  if ('hint' in error && typeof error.hint === 'string') parts.push(error.hint);
  const state = sqlState(error);
  return parts.join(' ') + (state === null ? '' : ` (SQLSTATE ${state})`);
}
