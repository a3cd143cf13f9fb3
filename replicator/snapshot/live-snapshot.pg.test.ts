import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { connect, disconnect } from '../postgres/connect.ts';
import { formatLsn } from '../postgres/lsn.ts';
import { knownFromHere } from '../spool/old-commits.ts';
import { ownServers, sql, value } from '../testing/databases.ts';
import { LOSES_ASYNCHRONOUS_COMMITS } from '../testing/lossy.ts';
import { beginOnSnapshot } from './live-snapshot.ts';

// What is committed without waiting for the disk is visible at once, and lost if the source crashes now.
test('what a copy sees has been flushed, or it waits until it has', async () => {
  await using db = await ownServers({ source: { settings: LOSES_ASYNCHRONOUS_COMMITS } });
  await sql(db.source, 'CREATE TABLE t (id int)');
  const copy = await connect({ role: 'source', url: db.source.url, purpose: 'copy' });
  const other = await connect({ role: 'source', url: db.source.url, purpose: 'other' });
  try {
    const knownFrom = await knownFromHere(copy);
    await other.query('SET synchronous_commit = off');
    await other.query('INSERT INTO public.t VALUES (1)');
    const abort = AbortSignal.timeout(60_000);
    const begun = beginOnSnapshot(copy, { arrived: new Uint32Array(), knownFrom, waits: () => {} }, abort);
    const writing = sleep(500).then(async () => {
      await other.query('SET synchronous_commit = on');
      await other.query('INSERT INTO public.t VALUES (2)');
    });
    const { asOf } = await begun;
    expect(await value(db.source, `SELECT pg_current_wal_flush_lsn() >= '${formatLsn(asOf.walEnd)}'`)).toBe('t');
    expect((await copy.query('SELECT FROM public.t')).rowCount).toBe(1);
    await writing;
  } finally {
    await disconnect(copy);
    await disconnect(other);
  }
});
