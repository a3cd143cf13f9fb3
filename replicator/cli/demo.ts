import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { Client } from 'pg';
import { DEFAULT_VERSION } from '../embedded/binaries.ts';
import { startServer, type EmbeddedServer } from '../embedded/server.ts';
import { quoteLiteral } from '../postgres/quote.ts';

const DATABASE = 'app';
/** As a comment of the database it comes and goes with the rows, in one transaction. */
const LOADED = 'demo data of pgfollow';

export interface DemoServers {
  readonly sourceUrl: string;
  readonly targetUrl: string;
  /** Stops both servers; removes them too, unless they were to be kept. */
  stop(): Promise<void>;
}

/**
 * Two servers of our own, pg_x and pg_y, on free ports of 127.0.0.1, with the databases of db/ loaded.
 * With `keepDir` they live there and are found as they were at the next start; without, they are
 * temporary. If this process is killed, the servers end and what is temporary is removed all the same.
 */
export async function startDemoServers(options: {
  keepDir: string | null;
  log: (line: string) => void;
  signal?: AbortSignal;
}): Promise<DemoServers> {
  const { keepDir, log, signal } = options;
  const folder = keepDir === null ? null : resolve(keepDir);
  const password = folder === null ? randomBytes(16).toString('hex') : await keptPassword(folder);
  log(`Starting two PostgreSQL ${DEFAULT_VERSION} servers${folder ? ` in ${folder}` : ''}.`);
  const start = async (name: 'pg_x' | 'pg_y', settings: Record<string, string>): Promise<EmbeddedServer> => {
    const server = await startServer({
      ...(folder && { dataDir: join(folder, name) }),
      ...(signal && { signal }),
      password,
      database: DATABASE,
      // What is thrown away at the end need not survive a power cut.
      settings: { shared_buffers: '64MB', ...(folder ? {} : { fsync: 'off', full_page_writes: 'off' }), ...settings },
    });
    try {
      await load(server.url(), new URL(`../../db/${name}/`, import.meta.url));
    } catch (error) {
      await server[Symbol.asyncDispose]();
      throw error;
    }
    log(`${name}: ${server.url()}`);
    return server;
  };
  const started = await Promise.allSettled([
    start('pg_x', { wal_level: 'logical', max_slot_wal_keep_size: '10GB' }),
    start('pg_y', {}),
  ]);
  const [x, y] = started;
  const stop = async () => {
    const servers = started.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []));
    await Promise.all(servers.map((server) => server[Symbol.asyncDispose]()));
  };
  if (x.status === 'fulfilled' && y.status === 'fulfilled') return { sourceUrl: x.value.url(), targetUrl: y.value.url(), stop };
  await stop();
  throw x.status === 'rejected' ? x.reason : (y as PromiseRejectedResult).reason;
}

/** Kept servers know the password they were made with. */
async function keptPassword(folder: string): Promise<string> {
  await mkdir(folder, { recursive: true });
  const file = join(folder, 'password');
  if (existsSync(file)) return (await readFile(file, 'utf8')).trim();
  const password = randomBytes(16).toString('hex');
  await writeFile(file, `${password}\n`, { mode: 0o600 });
  return password;
}

/** Runs the folder's *.sql in the order of their names, all or nothing, unless that has been done before. */
async function load(url: string, folder: URL): Promise<void> {
  const client = new Client({ connectionString: url, application_name: 'pgfollow-demo' });
  await client.connect();
  try {
    const { rows } = await client.query<{ comment: string | null }>(
      "SELECT shobj_description(oid, 'pg_database') AS comment FROM pg_database WHERE datname = current_database()",
    );
    if (rows[0]?.comment === LOADED) return;
    const files = (await readdir(folder)).filter((file) => file.endsWith('.sql')).sort();
    await client.query('BEGIN');
    for (const file of files) await client.query(await readFile(new URL(file, folder), 'utf8'));
    await client.query(`COMMENT ON DATABASE ${DATABASE} IS ${quoteLiteral(LOADED)}`);
    await client.query('COMMIT');
  } finally {
    await client.end();
  }
}
