import { randomBytes } from 'node:crypto';
import { chown, mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { Client } from 'pg';
import { Problem } from '../problem.ts';
import { DEFAULT_VERSION, serverBinaries, type Binaries } from './binaries.ts';
import { freePort } from './free-port.ts';
import { dataVersion, initialise } from './initdb.ts';
import { EmbeddedServer, type Settings } from './postmaster.ts';

export { EmbeddedServer, type Settings };

export interface ServerOptions {
  /** Major version; 18 unless said otherwise. */
  readonly version?: number;
  /** Port on 127.0.0.1; 0, the default, picks a free one and keeps it for the life of the object. */
  readonly port?: number;
  /** Made when it does not exist, used as it is when it does. Without it a temporary folder, removed by dispose. */
  readonly dataDir?: string;
  /** Folder to make the temporary one in; the system's for such things unless given. */
  readonly within?: string;
  /** Makes the data directory with this password, where there is none; initdb unless given. */
  readonly make?: (dataDir: string) => Promise<void>;
  readonly settings?: Settings;
  /** Of the superuser `postgres`. Random unless given; has to be given again for a data directory that exists. */
  readonly password?: string;
  /** The database that url names; created where missing. `postgres` unless said otherwise. */
  readonly database?: string;
  /** Gives up starting. */
  readonly signal?: AbortSignal;
}

/** Starts a PostgreSQL server from the binaries that npm installed, and waits until it takes connections. */
export async function startServer(options: ServerOptions = {}): Promise<EmbeddedServer> {
  const { version = DEFAULT_VERSION, port = 0, database = 'postgres', signal } = options;
  const binaries = await serverBinaries(version);
  const password = options.password ?? randomBytes(16).toString('hex');
  const temporary = options.dataDir === undefined ? await temporaryFolder(binaries, options.within ?? tmpdir()) : null;
  const dataDir = temporary ? join(temporary, 'data') : resolve(options.dataDir ?? '');
  const server = new EmbeddedServer({ binaries, dataDir, temporary, password, database, settings: options.settings ?? {} });
  try {
    const found = dataVersion(dataDir);
    if (found === null) await (options.make?.(dataDir) ?? initialise({ binaries, dataDir, password, signal }));
    else if (found !== version) {
      throw new Problem('INTERNAL', `${dataDir} was made by PostgreSQL ${found}, not ${version}`, {
        remedy: 'Choose another folder.',
      });
    }
    await startOnPort(server, port, signal);
    await createDatabase(server);
    return server;
  } catch (error) {
    await server[Symbol.asyncDispose]();
    throw error;
  }
}

/** Another process can take a port that was free a moment ago: then with another one. */
async function startOnPort(server: EmbeddedServer, port: number, signal: AbortSignal | undefined): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await server.start({ port: port || (await freePort()), signal });
    } catch (error) {
      if (port || attempt === 5 || !server.logTail().includes('Address already in use')) throw error;
    }
  }
}

async function createDatabase(server: EmbeddedServer): Promise<void> {
  const name = decodeURIComponent(new URL(server.url()).pathname.slice(1));
  const client = new Client({ connectionString: server.url('postgres') });
  await client.connect();
  try {
    const { rowCount } = await client.query('SELECT FROM pg_database WHERE datname = $1', [name]);
    if (!rowCount) await client.query(`CREATE DATABASE ${client.escapeIdentifier(name)}`);
  } finally {
    await client.end();
  }
}

async function temporaryFolder({ version, user }: Binaries, within: string): Promise<string> {
  const folder = await mkdtemp(join(within, `pgfollow-pg${version}-`));
  if (user) await chown(folder, user.uid, user.gid);
  return folder;
}
