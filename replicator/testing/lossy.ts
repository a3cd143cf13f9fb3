import type { Settings } from '../embedded/server.ts';

/**
 * A server that loses what was committed with synchronous_commit=off when it is killed: nobody writes WAL unasked. With the
 * defaults it would be on its way within 200 ms, and what the kernel has survives the death of a process.
 */
export const LOSES_ASYNCHRONOUS_COMMITS: Settings = {
  wal_writer_delay: '10s',
  wal_writer_flush_after: '1GB',
  wal_buffers: '32MB',
  bgwriter_lru_maxpages: '0',
  checkpoint_timeout: '1h',
  autovacuum: 'off',
};
