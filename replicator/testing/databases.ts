import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client, type QueryResult } from 'pg';
import { expect, inject } from 'vitest';
import type { EmbeddedServer } from '../embedded/server.ts';
import { quoteIdent } from '../postgres/quote.ts';
import { startTestServer, type TestServerOptions } from './servers.ts';

/** Values are what PostgreSQL prints, with TimeZone UTC: '1', 't', '2026-01-31', null. */
export type Row = Record<string, string | null>;

/** One connection. */
export interface Session extends AsyncDisposable {
  /** Several statements at a time are fine without `values`; the rows are the last one's. */
  query(text: string, values?: unknown[]): Promise<Row[]>;
  /** The pg client itself, for what `query` cannot do. */
  readonly client: Client;
  end(): Promise<void>;
}

export interface TestDatabase {
  /** Connection URI as superuser. */
  readonly url: string;
  readonly name: string;
  /** Null on the servers that all tests share. */
  readonly server: EmbeddedServer | null;
  /** On a connection kept for this purpose, which comes back by itself after a crash of the server. */
  query(text: string, values?: unknown[]): Promise<Row[]>;
  /** A connection of its own; `await using`, or end it. */
  session(): Promise<Session>;
}

export interface TestDatabases extends AsyncDisposable {
  /** Unique on both servers: use it as the name of pipeline, slot, publication, origin. */
  readonly name: string;
  readonly source: TestDatabase;
  readonly target: TestDatabase;
}

/**
 * A fresh source and a fresh target database on the shared servers. Dispose drops them with the slots
 * and origins that belong to them. A connection that is open by then fails the run.
 */
export async function testDatabases(options: { sourceEncoding?: string; targetEncoding?: string } = {}): Promise<TestDatabases> {
  const servers = inject('testServers');
  if (!servers) throw new Error('only files named *.pg.test.ts get servers');
  const name = uniqueName();
  const source = new Database(servers.source, `${name}_x`, null);
  const target = new Database(servers.target, `${name}_y`, null);
  await Promise.all([source.create(options.sourceEncoding), target.create(options.targetEncoding)]);
  const test = expect.getState().currentTestName ?? expect.getState().testPath ?? '?';
  return {
    name,
    source,
    target,
    async [Symbol.asyncDispose]() {
      const open = await Promise.all([source.drop(name), target.drop(name)]);
      const leaks = open.flat().map((connection) => `${test}: ${connection}`);
      if (leaks.length > 0)
        await withClient(servers.source, (admin) => admin.query('INSERT INTO test_leaks SELECT unnest($1::text[])', [leaks]));
    },
  };
}

/** A pair of servers for this test alone: to crash them, to set what needs a restart, to run another version. */
export async function ownServers(
  options: { source?: TestServerOptions; target?: TestServerOptions } = {},
): Promise<TestDatabases> {
  const name = uniqueName();
  const started = await Promise.allSettled([
    startTestServer('source', options.source),
    startTestServer('target', options.target),
  ]);
  const servers = started.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []));
  const stop = () => Promise.all(servers.map((server) => server[Symbol.asyncDispose]()));
  try {
    const failure = started.find((result) => result.status === 'rejected');
    if (failure) throw failure.reason;
    const [x, y] = servers as [EmbeddedServer, EmbeddedServer];
    const source = new Database(x.url(), `${name}_x`, x);
    const target = new Database(y.url(), `${name}_y`, y);
    await Promise.all([source.create(), target.create()]);
    return {
      name,
      source,
      target,
      async [Symbol.asyncDispose]() {
        await Promise.all([source.end(), target.end()]);
        await stop();
      },
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** `await sql(db.source, 'SELECT 1 AS one')` -> `[{ one: '1' }]` */
export function sql(on: Pick<Session, 'query'>, text: string, values?: unknown[]): Promise<Row[]> {
  return on.query(text, values);
}

/** The first column of the first row; undefined when there is no row. */
export async function value(on: Pick<Session, 'query'>, text: string, values?: unknown[]): Promise<string | null | undefined> {
  const [row] = await on.query(text, values);
  return row && Object.values(row)[0];
}

class Database implements TestDatabase {
  readonly url: string;
  readonly name: string;
  readonly server: EmbeddedServer | null;
  readonly #adminUrl: string;
  #session: Promise<Session> | null = null;

  constructor(adminUrl: string, name: string, server: EmbeddedServer | null) {
    const url = new URL(adminUrl);
    url.pathname = `/${name}`;
    this.url = url.href;
    this.name = name;
    this.server = server;
    this.#adminUrl = adminUrl;
  }

  async query(text: string, values?: unknown[]): Promise<Row[]> {
    if (!this.#session) {
      const session = this.session();
      this.#session = session;
      const forget = () => {
        if (this.#session === session) this.#session = null;
      };
      session.then(({ client }) => client.once('end', forget).once('error', forget), forget);
    }
    return (await this.#session).query(text, values);
  }

  async session(): Promise<Session> {
    const client = new Client({
      connectionString: this.url,
      application_name: 'testkit',
      options: '-c TimeZone=UTC -c DateStyle=ISO -c IntervalStyle=postgres -c extra_float_digits=3',
      types: { getTypeParser: () => (text: unknown) => text },
    });
    client.on('error', () => {});
    await client.connect();
    const end = () => client.end();
    return {
      client,
      end,
      [Symbol.asyncDispose]: end,
      async query(text, values) {
        const result: QueryResult<Row> | QueryResult<Row>[] = values
          ? await client.query<Row>(text, values)
          : await client.query<Row>(text);
        return (Array.isArray(result) ? result.at(-1)?.rows : result.rows) ?? [];
      },
    };
  }

  async create(encoding = 'UTF8'): Promise<void> {
    const as = `TEMPLATE template0 ENCODING '${encoding}' LOCALE 'C'`;
    await withClient(this.#adminUrl, async (admin) => {
      const { rows } = await admin.query<{ logs: boolean }>(
        `SELECT current_setting('server_version_num')::int >= 150000 AS logs`,
      );
      // From 15 on all of a new database goes through the WAL otherwise, which every other test's stream has to read.
      const copied = rows[0]?.logs ? 'STRATEGY file_copy' : '';
      await admin.query(`CREATE DATABASE ${quoteIdent(this.name)} ${copied} ${encoding === 'UTF8' ? '' : as}`);
    });
  }

  async end(): Promise<void> {
    const session = this.#session;
    this.#session = null;
    if (session) await session.then((open) => open.end()).catch(() => {});
  }

  /** Drops the database and all that hangs on it; returns the connections that should have been closed. */
  async drop(owner: string): Promise<string[]> {
    await this.end();
    return withClient(this.#adminUrl, async (admin) => {
      const open = await openConnections(admin, this.name);
      await admin.query('SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1', [this.name]);
      await rollbackPrepared(admin, this.url, this.name);
      await patiently(async () => {
        await admin.query('SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE database = $1', [
          this.name,
        ]);
        await admin.query(`DROP DATABASE IF EXISTS ${quoteIdent(this.name)} WITH (FORCE)`);
        await admin.query('SELECT pg_replication_origin_drop(roname) FROM pg_replication_origin WHERE strpos(roname, $1) > 0', [
          owner,
        ]);
      });
      return open;
    });
  }
}

/** A backend notices that its client has gone a little later: only what stays for 2 s was left open. */
async function openConnections(admin: Client, database: string): Promise<string[]> {
  for (let attempt = 0; ; attempt++) {
    const { rows } = await admin.query<{ line: string }>(
      `SELECT format('%s of "%s" to %I is still open, last: %s', backend_type, application_name, datname, left(query, 100)) AS line
         FROM pg_stat_activity WHERE datname = $1 AND backend_type IN ('client backend', 'walsender')`,
      [database],
    );
    if (rows.length === 0 || attempt === 100) return rows.map(({ line }) => line);
    await sleep(20);
  }
}

async function rollbackPrepared(admin: Client, url: string, database: string): Promise<void> {
  const { rows } = await admin.query<{ command: string }>(
    `SELECT format('ROLLBACK PREPARED %L', gid) AS command FROM pg_prepared_xacts WHERE database = $1`,
    [database],
  );
  for (const { command } of rows) await withClient(url, (client) => client.query(command));
}

/** Slots, origins and databases stay in use for a moment after their last backend was told to go. */
async function patiently(work: () => Promise<void>): Promise<void> {
  for (let attempt = 0; ; attempt++) {
    try {
      return await work();
    } catch (error) {
      // object_in_use
      if ((error as { code?: string }).code !== '55006' || attempt === 100) throw error;
      await sleep(50);
    }
  }
}

async function withClient<T>(url: string, work: (client: Client) => Promise<T>): Promise<T> {
  const client = new Client({ connectionString: url, application_name: 'testkit' });
  client.on('error', () => {});
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}

function uniqueName(): string {
  return `t_${randomBytes(5).toString('hex')}`;
}
