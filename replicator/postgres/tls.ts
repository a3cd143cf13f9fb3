import { existsSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { rootCertificates, type ConnectionOptions } from 'node:tls';

export type SslMode = 'disable' | 'allow' | 'prefer' | 'require' | 'verify-ca' | 'verify-full';

const MODES: readonly string[] = ['disable', 'allow', 'prefer', 'require', 'verify-ca', 'verify-full'];

const BINDINGS = ['disable', 'prefer', 'require'] as const;
type ChannelBinding = (typeof BINDINGS)[number];

/** libpq's TLS parameters of a connection URI. */
export interface TlsParameters {
  mode: SslMode;
  rootCert: string | null;
  cert: string | null;
  key: string | null;
  keyPassword: string | null;
  channelBinding: ChannelBinding;
  /** TLS from the first byte on (PostgreSQL 17 and newer). */
  direct: boolean;
}

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * Reads sslmode, sslrootcert, sslcert, sslkey, sslpassword, channel_binding and sslnegotiation out of a URI's parameters.
 * What is not there comes from libpq's variables, then from its files in ~/.postgresql, then from its defaults.
 * Throws RangeError for what libpq refuses too. https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-PARAMKEYWORDS
 */
export function tlsParameters(query: URLSearchParams, environment: Environment = process.env): TlsParameters {
  const given = (name: string, variable: string): string | null => query.get(name) || environment[variable] || null;
  const rootCert = given('sslrootcert', 'PGSSLROOTCERT') ?? ownFile('root.crt', environment);
  const mode = given('sslmode', 'PGSSLMODE') ?? (rootCert === 'system' ? 'verify-full' : 'prefer');
  if (!MODES.includes(mode)) throw new RangeError(`sslmode "${mode}" is not one of ${MODES.join(', ')}`);
  if (rootCert === 'system' && mode !== 'verify-full' && mode !== 'disable') {
    throw new RangeError(
      `sslmode "${mode}" is too weak for sslrootcert=system, where anybody has a certificate; use verify-full`,
    );
  }
  const cert = given('sslcert', 'PGSSLCERT') ?? ownFile('postgresql.crt', environment);
  const binding = given('channel_binding', 'PGCHANNELBINDING') ?? 'prefer';
  const channelBinding = BINDINGS.find((each) => each === binding);
  if (!channelBinding) throw new RangeError(`channel_binding "${binding}" is not one of ${BINDINGS.join(', ')}`);
  const negotiation = given('sslnegotiation', 'PGSSLNEGOTIATION') ?? 'postgres';
  if (negotiation !== 'postgres' && negotiation !== 'direct')
    throw new RangeError(`sslnegotiation "${negotiation}" is not one of postgres, direct`);
  const direct = negotiation === 'direct';
  if (direct && ['disable', 'allow', 'prefer'].includes(mode))
    throw new RangeError(`sslmode "${mode}" is too weak for sslnegotiation=direct; use require, verify-ca or verify-full`);
  return {
    mode: mode as SslMode,
    rootCert,
    cert,
    key: given('sslkey', 'PGSSLKEY') ?? (cert === null ? null : ownFile('postgresql.key', environment)),
    keyPassword: given('sslpassword', 'PGSSLPASSWORD'),
    channelBinding,
    direct,
  };
}

/**
 * The `ssl` options for node-postgres over TLS, or null where the mode is `disable`. node-postgres gives sslmode a meaning
 * of its own, so the URI's is never handed on. Throws RangeError for what libpq refuses too, and what reading a file throws.
 * https://www.postgresql.org/docs/current/libpq-ssl.html#LIBPQ-SSL-PROTECTION
 */
export function tlsOptions(parameters: TlsParameters): ConnectionOptions | null {
  const { mode, rootCert, cert, key, keyPassword } = parameters;
  if (mode === 'disable') return null;
  const options: ConnectionOptions = {};
  if (cert !== null) options.cert = readFileSync(cert);
  if (key !== null) {
    refuseOpenKey(key);
    options.key = readFileSync(key);
  }
  if (keyPassword !== null) options.passphrase = keyPassword;
  const ownRoot = rootCert !== null && rootCert !== 'system';
  if (ownRoot) options.ca = readFileSync(rootCert);
  else if (mode === 'verify-full') options.ca = systemAuthorities();
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

/** A private key that others may read: its owner has to act, whatever the URI says. */
export class OpenKey extends RangeError {
  readonly path: string;

  constructor(path: string) {
    super(
      `the private key ${path} may be read by others; as for libpq it must be 0600 or less, or 0640 or less where it belongs to root`,
    );
    this.path = path;
  }
}

// initialize_SSL() in fe-secure-openssl.c. A key of root may be shared with a group, as Debian does (ssl-cert).
function refuseOpenKey(path: string): void {
  if (process.platform === 'win32') return;
  const { uid, mode } = statSync(path);
  if (mode & (uid === 0 ? 0o037 : 0o077)) throw new OpenKey(path);
}

// libpq's own files; there is no sign of them where nobody has made any.
function ownFile(name: string, { HOME }: Environment): string | null {
  const path = HOME ? join(HOME, '.postgresql', name) : null;
  return path !== null && existsSync(path) ? path : null;
}

/** Where systems keep the authorities that they trust, as OpenSSL is told or as distributions place them. */
const SYSTEM_FILES = ['/etc/ssl/certs/ca-certificates.crt', '/etc/pki/tls/certs/ca-bundle.crt', '/etc/ssl/cert.pem'];

// Node.js brings authorities of its own; those that this machine trusts besides come from its file.
function systemAuthorities(): string[] {
  const file = [process.env['SSL_CERT_FILE'], ...SYSTEM_FILES].find((path) => path && existsSync(path));
  return file ? [...rootCertificates, readFileSync(file, 'utf8')] : [...rootCertificates];
}

/**
 * In which order to try with and without TLS: `allow` and `prefer` go on with the other one where the server refuses the
 * first.
 */
export function tlsOrder({ mode, channelBinding }: TlsParameters): readonly ('tls' | 'plain')[] {
  if (mode === 'disable') return ['plain'];
  // There is nothing to bind to without.
  if (channelBinding === 'require') return ['tls'];
  if (mode === 'allow') return ['plain', 'tls'];
  return mode === 'prefer' ? ['tls', 'plain'] : ['tls'];
}

// require with a root certificate at hand verifies like verify-ca.
function verification(mode: SslMode, rootCert: string | null): 'none' | 'verify-ca' | 'verify-full' {
  if (mode === 'verify-full') return 'verify-full';
  return mode === 'verify-ca' || (mode === 'require' && rootCert !== null) ? 'verify-ca' : 'none';
}
