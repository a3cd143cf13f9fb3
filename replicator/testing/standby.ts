import { execFile } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { startServer, type EmbeddedServer } from '../embedded/server.ts';
import type { TestDatabase } from './databases.ts';

/** A standby of a server that a test has for itself, beside its data; of several, each by another name. The server is stopped for a moment. */
export async function startStandby({ server: primary }: TestDatabase, name = 'standby'): Promise<EmbeddedServer> {
  if (!primary) throw new Error('only servers of a test alone can have a standby');
  const dataDir = join(dirname(primary.dataDir), name);
  await primary.stop();
  await promisify(execFile)('cp', ['-a', primary.dataDir, dataDir]);
  // A copy of any file has the right owner.
  await promisify(execFile)('cp', ['-a', join(dataDir, 'PG_VERSION'), join(dataDir, 'standby.signal')]);
  await writeFile(join(dataDir, 'standby.signal'), '');
  await primary.start();
  return startServer({
    version: primary.version,
    dataDir,
    password: primary.password,
    settings: {
      wal_level: 'logical',
      max_wal_senders: '40',
      max_connections: '200',
      max_worker_processes: '40',
      max_prepared_transactions: '10',
      hot_standby_feedback: 'on',
      primary_conninfo: `host=127.0.0.1 port=${primary.port} user=postgres password=${primary.password}`,
    },
  });
}
