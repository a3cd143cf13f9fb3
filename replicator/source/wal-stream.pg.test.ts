import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { ZERO_LSN } from '../postgres/lsn.ts';
import { sql, testDatabases, value } from '../testing/databases.ts';
import { eventually } from '../testing/eventually.ts';
import { startProxy } from '../testing/tcp-proxy.ts';
import { WalStream } from './wal-stream.ts';

// An error of the decoder leaves the connection open, so nobody but us ends it.
test('the source ends the stream with an error right behind changes that made us stop reading: it is over', async () => {
  await using db = await testDatabases();
  await sql(db.source, `CREATE TABLE t (id int PRIMARY KEY); CREATE PUBLICATION p FOR TABLE t`);
  await sql(db.source, `SELECT pg_create_logical_replication_slot('${db.name}', 'pgoutput')`);
  await using proxy = await startProxy(db.source.url);
  let held: Buffer[] | null = null;
  proxy.toClient = (_, bytes) => {
    held?.push(bytes);
    if (!held) return bytes;
    const all = Buffer.concat(held);
    // ReadyForQuery, when the server takes the next command.
    const ready = all.length - 6;
    if (!all.includes('canceling statement') || all[ready] !== 0x5a) return null;
    held = null;
    // The changes and the error are one read. That comes behind it, before the server has heard that we go.
    proxy.toServer = (to, sent) => {
      to.answer(all.subarray(ready));
      return sent;
    };
    return all.subarray(0, ready);
  };
  const stream = new WalStream({
    url: proxy.url,
    encrypted: false,
    slot: db.name,
    publications: ['p'],
    from: ZERO_LSN,
    binary: true,
    streaming: false,
    origin: 'any',
    purpose: `${db.name} stream`,
  });
  let started = false;
  const abort = new AbortController();
  const handlers = { onStart: () => (started = true), onMessage: () => stream.pause(), onKeepalive: () => {} };
  const over = stream.run(handlers, abort.signal).then(
    () => 'resolved',
    (error: Error) => error.message,
  );
  try {
    await eventually(() => started);
    held = [];
    await sql(db.source, 'INSERT INTO t VALUES (1)');
    await eventually(() => held && Buffer.concat(held).includes('t\0'));
    await sql(db.source, `SELECT pg_cancel_backend(active_pid) FROM pg_replication_slots WHERE slot_name = '${db.name}'`);
    const message = await Promise.race([over, sleep(10_000).then(() => 'nothing')]);
    expect(message).toContain('canceling statement');
    await eventually(async () =>
      expect(await value(db.source, `SELECT active FROM pg_replication_slots WHERE slot_name = '${db.name}'`)).toBe('f'),
    );
  } finally {
    abort.abort();
    proxy.cutAll();
  }
});
