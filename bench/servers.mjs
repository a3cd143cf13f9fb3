import { Client } from 'pg';

/**
 * What both servers run with; all else is PostgreSQL's default, fsync and full_page_writes on among it. Autovacuum is
 * off because it would hit one contender and not the other; the workloads VACUUM (ANALYZE) what they have filled.
 */
const SETTINGS = {
  shared_buffers: '256MB',
  max_wal_size: '4GB',
  checkpoint_timeout: '30min',
  autovacuum: 'off',
  max_connections: '60',
  // Thousands of tables are made in one transaction.
  max_locks_per_transaction: '1024',
  max_worker_processes: '32',
  timezone: 'UTC',
};

const SOURCE = { wal_level: 'logical', max_wal_senders: '20', max_replication_slots: '20' };

/** Room for native replication to work with as many processes as it likes, and no wait before it starts one. */
const TARGET = {
  max_logical_replication_workers: '16',
  max_sync_workers_per_subscription: '4',
  max_parallel_apply_workers_per_subscription: '4',
  wal_retrieve_retry_interval: '100ms',
};

/** What the report says of the settings. */
export function describeSettings(version) {
  return { both: SETTINGS, source: SOURCE, target: targetSettings(version) };
}

function targetSettings(version) {
  const { max_parallel_apply_workers_per_subscription: parallel, ...rest } = TARGET;
  return version >= 16 ? { ...rest, max_parallel_apply_workers_per_subscription: parallel } : rest;
}

/** One source and one target server; `startServer` is that of the build under test. */
export async function startServers(startServer, version) {
  const [source, target] = await Promise.all([
    startServer({ version, settings: { ...SETTINGS, ...SOURCE } }),
    startServer({ version, settings: { ...SETTINGS, ...targetSettings(version) } }),
  ]);
  return {
    source,
    target,
    async [Symbol.asyncDispose]() {
      await Promise.all([source[Symbol.asyncDispose](), target[Symbol.asyncDispose]()]);
    },
  };
}

/** A connection whose loss is told by the next query; `end()` it. */
export async function connect(url) {
  const client = new Client({ connectionString: url, application_name: 'bench' });
  client.on('error', () => {});
  await client.connect();
  return client;
}

/**
 * Runs texts, each one transaction of one or more statements, on a connection of its own; returns the rows of the last
 * statement.
 */
export async function sql(url, ...texts) {
  const client = await connect(url);
  try {
    let result;
    for (const text of texts) result = await client.query(text);
    return (Array.isArray(result) ? result.at(-1) : result).rows;
  } finally {
    await client.end();
  }
}
