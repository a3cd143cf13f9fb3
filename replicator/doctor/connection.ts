import type { Client } from 'pg';
import { complaint, fine, ofProblem, type Finding } from '../finding.ts';
import { connect, isEncrypted, type Role } from '../postgres/connect.ts';
import { describeError, SQLSTATE, sqlState } from '../postgres/sqlstate.ts';
import { tlsParameters, type SslMode } from '../postgres/tls.ts';
import { Problem } from '../problem.ts';

/** The server itself sees to it that a look changes nothing, and that it waits for nobody. */
const SETTINGS = {
  lock_timeout: '2s',
  statement_timeout: '30s',
};

/** A clock that is further off makes times in events and on the page hard to compare, in ms. */
const CLOCK_TOLERANCE_MS = 5000;

/** One end, connected if that was possible. */
export interface Reached {
  readonly client: Client | null;
  readonly findings: readonly Finding[];
}

/** A session that changes nothing and waits for nobody. Throws as connect() does. */
export async function connectToLook(role: Role, url: string, purpose: string): Promise<Client> {
  return await connect({ role, url, purpose, readOnly: true, settings: SETTINGS });
}

/** Connects to one end, for reading only, and says how it went. */
export async function reach(role: Role, url: string, purpose: string): Promise<Reached> {
  let client: Client;
  try {
    client = await connectToLook(role, url, purpose);
  } catch (error) {
    if (error instanceof Problem) return { client: null, findings: [ofProblem(role, error)] };
    throw error;
  }
  const facts = { ...(await readConnection(client)), ...addressOf(client, url), encrypted: isEncrypted(client) };
  return { client, findings: classifyConnection(role, facts) };
}

export interface ConnectionFacts {
  readonly version: string;
  readonly database: string;
  readonly user: string;
  /** `host:port`, or a folder of sockets. */
  readonly place: string;
  /** This machine: loopback or a socket. */
  readonly local: boolean;
  readonly encrypted: boolean;
  readonly sslmode: SslMode;
  /** From question to answer, ms. */
  readonly roundTripMs: number;
  /** The clock of the server less the one here, ms. */
  readonly clockOffsetMs: number;
}

/** Pure: what there is to say of a connection that works. */
export function classifyConnection(role: Role, facts: ConnectionFacts): Finding[] {
  const { version, database, user, place, roundTripMs } = facts;
  return [
    fine(
      role,
      'CONNECTION',
      `PostgreSQL ${version} at ${place}, database ${database}, role ${user}; ${roundTripMs.toFixed(1)} ms to an answer.`,
    ),
    encryption(role, facts),
    clock(role, facts),
  ];
}

function encryption(role: Role, { encrypted, local, sslmode, place }: ConnectionFacts): Finding {
  if (!encrypted) {
    if (local) return fine('network', 'ENCRYPTION', `The ${role} is on this machine; the connection is not encrypted.`);
    return complaint('warning', 'network', 'ENCRYPTION', {
      message: `The connection to the ${role} at ${place} is not encrypted: passwords and rows can be read on the way.`,
      remedy: `Add sslmode=verify-full and sslrootcert=FILE to ${role}.url; the server needs ssl = on with a certificate.`,
    });
  }
  const checked =
    sslmode === 'verify-full'
      ? 'certificate and host name are checked'
      : sslmode === 'verify-ca'
        ? 'the certificate is checked, the host name is not'
        : 'the certificate is not checked; sslmode=verify-full does';
  return fine('network', 'ENCRYPTION', `The connection to the ${role} is encrypted; ${checked}.`);
}

function clock(role: Role, { clockOffsetMs, roundTripMs }: ConnectionFacts): Finding {
  const off = Math.abs(clockOffsetMs);
  const seconds = (off / 1000).toFixed(1);
  if (off <= CLOCK_TOLERANCE_MS + roundTripMs)
    return fine('network', 'CLOCK', `The clock of the ${role} is the same as here, within ${seconds} s.`);
  return complaint('warning', 'network', 'CLOCK', {
    message: `The clock of the ${role} is ${seconds} s ${clockOffsetMs > 0 ? 'ahead of' : 'behind'} the one here: times cannot be compared.`,
    remedy: 'Synchronize the clocks of both machines (NTP). The lag is right all the same: it is measured with one clock.',
  });
}

/** Pure: what a refused replication connection means. */
export function replicationRefused(error: unknown): Finding {
  const busy = sqlState(error instanceof Problem ? error.cause : error) === SQLSTATE.too_many_connections;
  const said = error instanceof Problem ? error.message : describeError(error);
  return complaint('error', 'network', 'REPLICATION_CONNECTION', {
    message: `The source refuses a replication connection: ${said}`,
    remedy: busy
      ? 'Free a WAL sender, or ALTER SYSTEM SET max_wal_senders to more; and restart the source.'
      : 'Connect to PostgreSQL itself, not to a pooler such as PgBouncer, with a role that has REPLICATION.',
  });
}

async function readConnection(
  client: Client,
): Promise<Pick<ConnectionFacts, 'version' | 'database' | 'user' | 'roundTripMs' | 'clockOffsetMs'>> {
  const before = Date.now();
  const started = performance.now();
  const { rows } = await client.query<{ version: string; database: string; user: string; now: number }>(
    `SELECT pg_catalog.current_setting('server_version') AS version, pg_catalog.current_database() AS database, current_user AS user,
            extract(epoch FROM pg_catalog.clock_timestamp())::pg_catalog.float8 * 1000 AS now`,
  );
  const roundTripMs = performance.now() - started;
  const row = rows[0];
  if (!row) throw new Problem('INTERNAL', 'A SELECT without FROM gave no row.', { remedy: 'Please report this.' });
  const { version, database, user, now } = row;
  return {
    version: version.split(' ', 1)[0] ?? version,
    database,
    user,
    roundTripMs,
    clockOffsetMs: now - (before + roundTripMs / 2),
  };
}

// Of several hosts the one that answered.
function addressOf({ host, port }: Client, url: string): Pick<ConnectionFacts, 'place' | 'local' | 'sslmode'> {
  const query = new URLSearchParams(url.split('?')[1] ?? '');
  return { place: `${host}:${port}`, local: isLocal(host), sslmode: tlsParameters(query).mode };
}

/** Whether a host is this machine for certain. */
export function isLocal(host: string): boolean {
  return host.startsWith('/') || host === 'localhost' || host === '::1' || host.startsWith('127.');
}
