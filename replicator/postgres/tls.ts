import { readFileSync } from 'node:fs';
import type { ConnectionOptions } from 'node:tls';

export type SslMode = 'disable' | 'allow' | 'prefer' | 'require' | 'verify-ca' | 'verify-full';

const MODES: readonly string[] = ['disable', 'allow', 'prefer', 'require', 'verify-ca', 'verify-full'];

/** libpq's TLS parameters of a connection URI. */
export interface TlsParameters {
  mode: SslMode;
  rootCert: string | null;
  cert: string | null;
  key: string | null;
}

/**
 * Reads sslmode, sslrootcert, sslcert and sslkey out of a URI's parameters, defaults as libpq has them.
 * Throws RangeError for an unknown sslmode.
 */
export function tlsParameters(query: URLSearchParams): TlsParameters {
  const mode = query.get('sslmode') ?? 'prefer';
  if (!MODES.includes(mode)) throw new RangeError(`sslmode "${mode}" is not one of ${MODES.join(', ')}`);
  return {
    mode: mode as SslMode,
    rootCert: query.get('sslrootcert'),
    cert: query.get('sslcert'),
    key: query.get('sslkey'),
  };
}

/**
 * The `ssl` options for node-postgres over TLS, or null where the mode is `disable`. node-postgres gives sslmode a meaning
 * of its own, so the URI's is never handed on. Throws RangeError for what libpq refuses too, and what reading a file throws.
 * https://www.postgresql.org/docs/current/libpq-ssl.html#LIBPQ-SSL-PROTECTION
 */
export function tlsOptions(parameters: TlsParameters): ConnectionOptions | null {
  const { mode, rootCert, cert, key } = parameters;
  if (mode === 'disable') return null;
  const options: ConnectionOptions = {};
  if (cert !== null) options.cert = readFileSync(cert);
  if (key !== null) options.key = readFileSync(key);
  const ownRoot = rootCert !== null && rootCert !== 'system';
  if (ownRoot) options.ca = readFileSync(rootCert);
  const verify = verification(mode, rootCert);
  if (verify === 'verify-ca' && !ownRoot) {
    // Anybody gets a certificate from a public authority, so without the name it would prove nothing.
    throw new RangeError(
      'sslmode verify-ca needs sslrootcert, a file with the certificate of your authority; or use verify-full',
    );
  }
  options.rejectUnauthorized = verify !== 'none';
  if (verify !== 'verify-full') options.checkServerIdentity = () => undefined;
  return options;
}

/**
 * In which order to try with and without TLS: `allow` and `prefer` go on with the other one where the server refuses the
 * first.
 */
export function tlsOrder(mode: SslMode): readonly ('tls' | 'plain')[] {
  if (mode === 'disable') return ['plain'];
  if (mode === 'allow') return ['plain', 'tls'];
  return mode === 'prefer' ? ['tls', 'plain'] : ['tls'];
}

// require with a root certificate at hand verifies like verify-ca; sslrootcert=system means verify-full.
function verification(mode: SslMode, rootCert: string | null): 'none' | 'verify-ca' | 'verify-full' {
  if (rootCert === 'system' || mode === 'verify-full') return 'verify-full';
  return mode === 'verify-ca' || (mode === 'require' && rootCert !== null) ? 'verify-ca' : 'none';
}
