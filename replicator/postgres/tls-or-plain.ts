import { SQLSTATE, sqlState } from './sqlstate.ts';

export type Way = 'tls' | 'plain';

/** node-postgres on a server that answers the request for TLS with no. */
const NO_TLS = 'The server does not support SSL connections';
/** Where sslmode leaves the choice, a server that has said so is believed for so long: each question costs it a process. */
const BELIEVED_MS = 5000;
/** `host:port` of servers that have, and when, by performance.now(). */
const toldNoTls = new Map<string, number>();

/** The ways to connect to `host:port` in the order in which to try them; `order` is what sslmode says. */
export function inOrder(place: string, order: readonly Way[]): readonly Way[] {
  const told = toldNoTls.get(place);
  return told !== undefined && performance.now() - told < BELIEVED_MS && order.includes('plain') ? ['plain', 'tls'] : order;
}

/** A server has refused a way. */
export function noteRefusal(place: string, error: unknown): void {
  if (error instanceof Error && error.message === NO_TLS) toldNoTls.set(place, performance.now());
}

/** The server has no TLS, the handshake failed, or no line of pg_hba.conf takes this connection with (without) TLS. */
export function refusesTlsOrPlain(error: unknown): boolean {
  if (sqlState(error) !== null) return sqlState(error) === SQLSTATE.invalid_authorization_specification;
  if (!(error instanceof Error)) return false;
  return (
    error.message === NO_TLS || error.message === 'There was an error establishing an SSL connection' || isHandshakeError(error)
  );
}

/** What a server without TLS, a failed handshake, or a certificate that does not convince ends with. */
export function isTlsError(error: unknown): boolean {
  if (!(error instanceof Error) || sqlState(error) !== null) return false;
  const code = 'code' in error && typeof error.code === 'string' ? error.code : '';
  return refusesTlsOrPlain(error) || /CERT|SIGNATURE|ISSUER/.test(code);
}

function isHandshakeError(error: Error): boolean {
  return 'code' in error && typeof error.code === 'string' && /^(?:ERR_SSL_|ERR_TLS_|EPROTO$)/.test(error.code);
}
