import { Client } from 'pg';
import type { TestProject } from 'vitest/node';
import type { EmbeddedServer } from '../embedded/server.ts';
import { startTestServer } from './servers.ts';

declare module 'vitest' {
  interface ProvidedContext {
    /** Connection URIs of the two servers that all tests share, superuser, database postgres. */
    testServers: { source: string; target: string } | null;
  }
}

/** Started once for a run that has tests on PostgreSQL; each test makes its own databases on them. */
export default async function setup(project: TestProject): Promise<(() => Promise<void>) | void> {
  // Nobody may depend on the machine's time zone.
  process.env['TZ'] ??= 'Asia/Kathmandu';
  const files = project.vitest.state.getPaths();
  if (files.length > 0 && !files.some((file) => file.endsWith('.pg.test.ts'))) {
    project.provide('testServers', null);
    return;
  }
  const [source, target] = await Promise.all([startTestServer('source'), startTestServer('target')]);
  await onServer(source, (client) => client.query('CREATE TABLE test_leaks (leak text NOT NULL)'));
  project.provide('testServers', { source: source.url(), target: target.url() });

  return async () => {
    const leaks = await Promise.all([leftBehind('source', source), leftBehind('target', target)]);
    await Promise.all([source[Symbol.asyncDispose](), target[Symbol.asyncDispose]()]);
    const found = leaks.flat();
    if (found.length === 0) return;
    // vitest prints what a teardown throws, but ends well all the same.
    process.exitCode = 1;
    throw new Error(`tests left something behind:\n  ${found.join('\n  ')}`);
  };
}

/** What is still on a server when every test is over, one line each. */
async function leftBehind(role: string, server: EmbeddedServer): Promise<string[]> {
  if (server.pid === null) return [`${role}: the shared server is gone:\n${server.logTail()}`];
  return onServer(server, async (client) => {
    const { rows } = await client.query<{ leak: string }>(`
      SELECT format('slot %I', slot_name) AS leak FROM pg_replication_slots
      UNION ALL SELECT format('database %I', datname) FROM pg_database
       WHERE datname NOT IN ('postgres', 'template0', 'template1')
      UNION ALL SELECT format('connection of %s to %I, last: %s', coalesce(nullif(application_name, ''), '(no application_name)'), datname, left(query, 100))
       FROM pg_stat_activity WHERE backend_type IN ('client backend', 'walsender') AND pid <> pg_backend_pid()
      UNION ALL SELECT format('role %I', rolname) FROM pg_roles WHERE oid >= 16384
      UNION ALL SELECT format('replication origin %I', roname) FROM pg_replication_origin
      UNION ALL SELECT format('prepared transaction %L', gid) FROM pg_prepared_xacts
    `);
    const noticed = role === 'source' ? (await client.query<{ leak: string }>('SELECT leak FROM test_leaks')).rows : [];
    return [...noticed.map(({ leak }) => leak), ...rows.map(({ leak }) => `${role}: ${leak}`)];
  });
}

async function onServer<T>(server: EmbeddedServer, work: (client: Client) => Promise<T>): Promise<T> {
  const client = new Client({ connectionString: server.url() });
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}
