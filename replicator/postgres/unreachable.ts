import { Problem } from '../problem.ts';
import { NotBound } from './channel-binding.ts';
import { isInsecure } from './password-file.ts';
import { describeError, SQLSTATE, sqlState } from './sqlstate.ts';
import { isTlsError } from './tls-or-plain.ts';

/** Why a host did not let us in. */
export interface Failure {
  /** `host:port` */
  readonly place: string;
  readonly error: unknown;
}

/**
 * What to tell of hosts that all failed, and what to do. `file`: the password file that was to be looked at, if any; `tls`:
 * whether it was tried with TLS.
 */
export function unreachable(
  role: 'source' | 'target',
  failures: readonly Failure[],
  { file, tls }: { file: string | null; tls: boolean },
): Problem {
  const { place, error } = failures.at(-1) ?? { place: '', error: null };
  const state = sqlState(error);
  const remedy =
    file !== null && isInsecure(file) && (isLoginRefusal(error) || lacksPassword(error))
      ? `The password file ${file} is ignored, as by libpq, because others may read it: chmod 600 ${file}`
      : lacksPassword(error)
        ? `Put a password into ${role}.url, or a line for ${place} into the password file (PGPASSFILE, ~/.pgpass).`
        : isLoginRefusal(error)
          ? `${wantsTls(error, tls, role)}Check user and password in ${role}.url, and pg_hba.conf on ${place}.`
          : state === SQLSTATE.invalid_catalog_name
            ? `Create the database, or correct its name in ${role}.url.`
            : error instanceof NotBound
              ? `Let the server ask for SCRAM over TLS (hostssl … scram-sha-256 in pg_hba.conf), or take channel_binding out of ${role}.url.`
              : raisedAtLogin(error)
                ? `Let the login event trigger of ${place} (PostgreSQL 17 and newer) take the role of ${role}.url. Its function runs with an empty search_path, so where it misses a name: ALTER FUNCTION … SET search_path = public;`
                : isTlsError(error)
                  ? `Let the server offer TLS (ALTER SYSTEM SET ssl = on; with ssl_cert_file and ssl_key_file), or correct sslmode and sslrootcert in ${role}.url.`
                  : `Check that PostgreSQL runs at ${place} and can be reached from here: psql "$PGFOLLOW_${role.toUpperCase()}_URL".`;
  const [only] = failures;
  const message =
    only && failures.length === 1
      ? `The ${role} at ${only.place} does not let us in: ${reasonOf(only.error)}`
      : `No host of the ${role} lets us in. ${failures.map((each) => `${each.place}: ${reasonOf(each.error)}`).join('; ')}`;
  return new Problem(role === 'source' ? 'SOURCE_UNREACHABLE' : 'TARGET_UNREACHABLE', message, {
    remedy,
    retry: 'transient',
    cause: error,
  });
}

// pg_hba.conf takes nobody like this, or this user with TLS alone: the server gives both the same code.
function wantsTls(error: unknown, tls: boolean, role: 'source' | 'target'): string {
  if (tls || sqlState(error) !== SQLSTATE.invalid_authorization_specification) return '';
  return `If the server wants TLS, set sslmode=verify-full (or require) in ${role}.url. `;
}

/** Another host would not let us in either. */
export function isLoginRefusal(error: unknown): boolean {
  return sqlState(error) === SQLSTATE.invalid_password || sqlState(error) === SQLSTATE.invalid_authorization_specification;
}

// node-postgres says it in words for programmers.
function lacksPassword(error: unknown): boolean {
  return error instanceof Error && /client password must be a (?:non-empty )?string/.test(error.message);
}

// Nothing else runs a function before anybody is let in. Its context names the function.
function raisedAtLogin(error: unknown): string | null {
  const { where } = (error instanceof Error ? error : {}) as { where?: string };
  return sqlState(error) !== null && where ? where : null;
}

function reasonOf(error: unknown): string {
  if (lacksPassword(error)) return 'it asks for a password, and none is known';
  const context = raisedAtLogin(error);
  return context ? `${describeError(error)}, in ${context.replaceAll(/\s+/g, ' ')}` : describeError(error);
}
