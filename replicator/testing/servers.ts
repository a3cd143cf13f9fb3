import { existsSync, statfsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { DEFAULT_VERSION } from '../embedded/binaries.ts';
import { startServer, type EmbeddedServer, type Settings } from '../embedded/server.ts';
import { newCluster, PASSWORD } from './new-cluster.ts';

/** The major version that tests run on: PGFOLLOW_TEST_PG, or the newest. */
export const TEST_VERSION = Number(process.env['PGFOLLOW_TEST_PG'] || DEFAULT_VERSION);

/** No fsync: a crash of a process loses nothing by it, only one of the machine would. */
const SETTINGS: Settings = {
  wal_level: 'logical',
  max_wal_senders: '40',
  max_replication_slots: '40',
  max_connections: '200',
  max_prepared_transactions: '10',
  max_worker_processes: '40',
  max_logical_replication_workers: '20',
  track_commit_timestamp: 'off',
  shared_buffers: '64MB',
  fsync: 'off',
  full_page_writes: 'off',
};

/** The memory that Linux offers as a folder, and how much of it must be free before servers are put there, bytes. */
const IN_MEMORY = { folder: '/dev/shm', room: 6 * 1024 ** 3 };

/** Far from UTC and from each other, and not by whole hours: whoever relies on a session's time zone shows. */
const TIME_ZONE = { source: 'Asia/Kathmandu', target: 'America/St_Johns' };

export interface TestServerOptions {
  readonly version?: number;
  /** Added to what all test servers have. */
  readonly settings?: Settings;
}

export function startTestServer(role: 'source' | 'target', options: TestServerOptions = {}): Promise<EmbeddedServer> {
  const version = options.version ?? TEST_VERSION;
  const within = dataFolder();
  return startServer({
    version,
    within,
    password: PASSWORD,
    make: (dataDir) => newCluster(version, within, dataDir),
    settings: { ...SETTINGS, timezone: TIME_ZONE[role], ...options.settings },
  });
}

/**
 * A test has two databases of its own, each of them a copy of three hundred small files: on a disk that takes eight times as long as in memory,
 * where that is plenty. TMPDIR, where it is set, is for whoever wants it elsewhere.
 */
function dataFolder(): string {
  const { folder, room } = IN_MEMORY;
  if (process.env['TMPDIR'] || !existsSync(folder)) return tmpdir();
  const { bavail, bsize } = statfsSync(folder);
  return Math.min(bavail * bsize, process.availableMemory()) > room ? folder : tmpdir();
}
