import { userInfo } from 'node:os';
import { Client, type ClientConfig } from 'pg';
import { parse } from 'pg-connection-string';
import { Problem } from '../problem.ts';
import { requireBinding } from './channel-binding.ts';
import { attributeRounds, hostUrls, misfit, sessionAttributes } from './hosts.ts';
import { passwordFile, passwordFromFile } from './password-file.ts';
import { describeError, SQLSTATE, sqlState } from './sqlstate.ts';
import { inOrder, noteRefusal, refusesTlsOrPlain, type Way } from './tls-or-plain.ts';
import { OpenKey, tlsOptions, tlsOrder, tlsParameters, type TlsParameters } from './tls.ts';
import { isLoginRefusal, unreachable, type Failure } from './unreachable.ts';

export type Role = 'source' | 'target';

export interface ConnectOptions {
  readonly role: Role;
  /** libpq URI, `postgresql://user@host:port/database?sslmode=…`. */
  readonly url: string;
  /** Shown in pg_stat_activity, after `pgfollow `. */
  readonly purpose: string;
  /** A walsender connection of this database, which also takes SQL. */
  readonly replication?: boolean;
  /** Nothing is written. Not from the beginning: an event trigger at the login may write down who comes. */
  readonly readOnly?: boolean;
  /** Settings of this session beyond the ones every session of ours has; null leaves one of those out. */
  readonly settings?: Readonly<Record<string, string | null>>;
}

// What values print and read as depends on these, so source and target must speak the same (libpqwalreceiver.c does the
// same); an empty search_path keeps other people's operators and functions away; timeouts meant for users must not end our
// work. They go before what is set for the role or the database.
const SESSION_SETTINGS: Readonly<Record<string, string>> = {
  DateStyle: 'ISO, YMD',
  IntervalStyle: 'postgres',
  extra_float_digits: '3',
  bytea_output: 'hex',
  lc_monetary: 'C',
  xmloption: 'content',
  array_nulls: 'on',
  quote_all_identifiers: 'off',
  TimeZone: 'UTC',
  search_path: '',
  client_encoding: 'UTF8',
  statement_timeout: '0',
  lock_timeout: '0',
  idle_in_transaction_session_timeout: '0',
  idle_session_timeout: '0',
  row_security: 'off',
  default_transaction_isolation: 'read committed',
  default_transaction_read_only: 'off',
};

/** A server that does not know a setting lets nobody in who names it. An older one is let in without, so that its age can be told. */
const UNKNOWN_BEFORE_14 = { idle_session_timeout: null };

/**
 * What node-postgres needs to connect as libpq would with this URI, to the first of its hosts; over TLS unless sslmode=disable
 * rules it out. For one client: it is not to be used twice. Throws RangeError for what libpq refuses too.
 */
export function clientConfig(options: ConnectOptions): ClientConfig {
  const [url = options.url] = hostUrls(options.url);
  const { user, password, host, port, database, options: given, connect_timeout: timeout } = parse(withoutTls(url));
  const parameters = tlsOf(options.url);
  // A Unix socket has no TLS, whatever sslmode says.
  const tls = host?.startsWith('/') ? null : tlsOptions(parameters);
  const settings = { ...SESSION_SETTINGS, ...options.settings };
  const config: ClientConfig & { replication?: string } = {
    application_name: `pgfollow ${options.purpose}`.slice(0, 63),
    host: host || 'localhost',
    port: port ? Number(port) : 5432,
    keepAlive: true,
    keepAliveInitialDelayMillis: 10_000,
    connectionTimeoutMillis: 1000 * (Number(timeout) || 10),
    ssl: tls ?? false,
    // Ours come last and so hold.
    options: [
      ...(given ? [given] : []),
      ...Object.entries(settings).flatMap(([name, value]) =>
        value === null ? [] : `-c ${name}=${value.replaceAll(/[\\ ]/g, String.raw`\$&`)}`,
      ),
    ].join(' '),
  };
  if (tls && parameters.direct) config.sslnegotiation = 'direct';
  if (tls && parameters.channelBinding !== 'disable') config.enableChannelBinding = true;
  if (user !== undefined) config.user = user;
  if (password) config.password = password;
  else if (!process.env['PGPASSWORD']) config.password = fileLookup(options.url, config) as never;
  if (database) config.database = database;
  if (options.replication) config.replication = 'database';
  return parameters.channelBinding === 'require' ? requireBinding(config) : config;
}

/**
 * Connects, to the first host of the URI that is there and is what target_session_attrs asks for. Whatever goes wrong is
 * a transient Problem SOURCE_UNREACHABLE or TARGET_UNREACHABLE: servers come back, passwords get corrected. The client's
 * later connection errors reject the queries under way; onEnd tells of them.
 */
export async function connect(options: ConnectOptions): Promise<Client> {
  const { wanted, urls, order } = valid(options, () => ({
    wanted: sessionAttributes(parametersOf(options.url)),
    urls: hostUrls(options.url),
    order: clientConfig(options).ssl === false ? (['plain'] as const) : tlsOrder(tlsOf(options.url)),
  }));
  let failures: Failure[] = [];
  for (const attributes of attributeRounds(wanted)) {
    failures = [];
    for (const url of urls) {
      const opened = await openHost({ ...options, url }, order);
      if (!(opened instanceof Client)) {
        failures.push(opened);
        // As in libpq: who may not in at one server asks no other.
        if (isLoginRefusal(opened.error)) break;
        continue;
      }
      const reason = await misfit(opened, attributes);
      if (reason === null && options.readOnly) await opened.query('SET default_transaction_read_only = on');
      if (reason === null) return opened;
      failures.push({ place: `${opened.host}:${opened.port}`, error: new Error(reason) });
      await disconnect(opened);
    }
  }
  throw unreachable(options.role, failures, { file: fileOf(options.url), tls: order.includes('tls') });
}

async function openHost(options: ConnectOptions, order: readonly Way[]): Promise<Client | Failure> {
  let failure: Failure = { place: '', error: null };
  const { host, port } = valid(options, () => clientConfig(options));
  const place = `${host}:${port}`;
  for (const way of inOrder(place, order)) {
    const config = valid(options, () => clientConfig(options));
    try {
      return await open(way === 'tls' ? config : { ...config, ssl: false });
    } catch (error) {
      failure = { place, error };
      noteRefusal(place, error);
      if (sqlState(error) === SQLSTATE.undefined_object && options.settings?.['idle_session_timeout'] === undefined)
        return openHost({ ...options, settings: { ...options.settings, ...UNKNOWN_BEFORE_14 } }, [way]);
      if (!refusesTlsOrPlain(error)) break;
    }
  }
  return failure;
}

/** Resolves with the reason when the connection is gone, whoever ended it. */
export async function connectionEnd(client: Client): Promise<Error> {
  let reason = new Error('Connection terminated');
  client.on('error', (error) => (reason = error));
  // Not events.once(): that rejects with the error that comes before.
  return new Promise((resolve) => client.once('end', () => resolve(reason)));
}

/** Ends a connection without ever throwing or waiting long; a dead peer does not hold us. */
export async function disconnect(client: Client | null | undefined): Promise<void> {
  if (!client) return;
  const timer = setTimeout(() => destroySocket(client), 2000);
  await client.end().catch(() => {});
  clearTimeout(timer);
}

/** Whether the connection uses TLS: with sslmode=prefer only the server's answer tells. */
export function isEncrypted(client: Client): boolean {
  return 'encrypted' in client.connection.stream;
}

/** Cuts the connection at once: the server rolls back what was open. */
export function destroySocket(client: Client): void {
  client.connection.stream.destroy();
}

async function open(config: ClientConfig): Promise<Client> {
  const client = new Client(config);
  // An 'error' event without a listener would end the process; the queries under way are rejected in any case.
  client.on('error', () => {});
  await client.connect();
  try {
    await settleSession(client);
    return client;
  } catch (error) {
    await disconnect(client);
    throw error;
  }
}

/**
 * What cannot stand among the settings of every session. transaction_timeout is known since PostgreSQL 17; the decoding of a large transaction counts as one
 * too. A database in SQL_ASCII holds any bytes: asked for UTF8 it refuses those that are none, and with them all that stands beside or behind them;
 * asked for nothing it gives and takes them as they are. https://www.postgresql.org/docs/current/runtime-config-client.html
 */
export async function settleSession(client: Client): Promise<void> {
  await client.query(
    `SELECT pg_catalog.set_config('transaction_timeout', '0', false) WHERE pg_catalog.current_setting('transaction_timeout', true) <> '0';
     SELECT pg_catalog.set_config('client_encoding', 'SQL_ASCII', false) WHERE pg_catalog.current_setting('server_encoding') = 'SQL_ASCII'`,
  );
}

function valid<T>(options: ConnectOptions, read: () => T): T {
  try {
    return read();
  } catch (error) {
    throw new Problem('CONFIG_INVALID', `${options.role}.url: ${describeError(error)}`, {
      remedy:
        error instanceof OpenKey
          ? `chmod 600 ${error.path}`
          : `Correct the parameters of ${options.role}.url: https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-PARAMKEYWORDS`,
      cause: error,
    });
  }
}

function parametersOf(url: string): URLSearchParams {
  const at = url.indexOf('?');
  return new URLSearchParams(at === -1 ? '' : url.slice(at + 1));
}

// Asked only once the server wants a password. node-postgres would look by itself, but complains on stderr, and will not in its next version.
function fileLookup(url: string, { host = '', port = 5432, user, database }: ClientConfig): () => string {
  return () => {
    const name = user ?? process.env['PGUSER'] ?? userInfo().username;
    const login = { host, port, user: name, database: database ?? process.env['PGDATABASE'] ?? name };
    return passwordFromFile(login, fileOf(url)) ?? '';
  };
}

function fileOf(url: string): string | null {
  return parametersOf(url).get('passfile') ?? passwordFile();
}

function tlsOf(url: string): TlsParameters {
  return tlsParameters(parametersOf(url));
}

function withoutTls(url: string): string {
  const query = parametersOf(url);
  for (const name of ['sslmode', 'sslrootcert', 'sslcert', 'sslkey', 'sslpassword', 'sslnegotiation']) query.delete(name);
  const base = url.split('?', 1)[0] ?? url;
  return query.size === 0 ? base : `${base}?${query.toString()}`;
}
