import { readFileSync } from 'node:fs';
import { checkServerIdentity, type ConnectionOptions } from 'node:tls';

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
 * The `ssl` options for node-postgres, or false for none. node-postgres gives sslmode a meaning of its own, so
 * the URI's is never handed on. https://www.postgresql.org/docs/current/libpq-ssl.html#LIBPQ-SSL-PROTECTION
 */
export function tlsOptions(parameters: TlsParameters): ConnectionOptions | false {
  const { mode, rootCert, cert, key } = parameters;
  if (mode === 'disable' || mode === 'allow') return false;
  const options: ConnectionOptions = {};
  if (cert !== null) options.cert = readFileSync(cert);
  if (key !== null) options.key = readFileSync(key);
  const ownRoot = rootCert !== null && rootCert !== 'system';
  if (ownRoot) options.ca = readFileSync(rootCert);
  // libpq: require with a root certificate at hand verifies like verify-ca; sslrootcert=system means verify-full.
  const verify = rootCert === 'system' ? 'verify-full' : mode === 'require' && ownRoot ? 'verify-ca' : mode;
  options.rejectUnauthorized = verify === 'verify-ca' || verify === 'verify-full';
  options.checkServerIdentity = verify === 'verify-full' ? checkServerIdentity : () => undefined;
  return options;
}
