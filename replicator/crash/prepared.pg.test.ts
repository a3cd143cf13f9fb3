import { setTimeout as sleep } from 'node:timers/promises';
import { test } from 'vitest';
import { compareTables } from '../testing/compare.ts';
import { ownServers, sql } from '../testing/databases.ts';
import { eventually } from '../testing/eventually.ts';
import { startTicks, TICK } from '../testing/load.ts';
import { LOSES_ASYNCHRONOUS_COMMITS } from '../testing/lossy.ts';
import { startVictims } from '../testing/victims.ts';

// Rows without a key are there twice when anything is applied twice.
const TABLES = `CREATE TABLE t (id int PRIMARY KEY, v text); CREATE TABLE k (id int, v text); ${TICK}`;

test(
  'whoever is killed between PREPARE and COMMIT PREPARED, or right after: each comes once, small ones and those sent in parts',
  { timeout: 240_000 },
  async () => {
    await using db = await ownServers({
      source: { settings: { logical_decoding_work_mem: '64kB' } },
      target: { settings: LOSES_ASYNCHRONOUS_COMMITS },
    });
    for (const side of [db.source, db.target]) await sql(side, TABLES);
    await using running = await startVictims(db, { apply: { maxBatchBytes: '128kB' } });
    await using ticks = startTicks(db.source);
    await running.replicator.streaming();
    for (const [round, victim] of (['replicator', 'target', 'source', 'replicator', 'target', 'source'] as const).entries()) {
      const prepare = (name: string, first: number, rows: number): string =>
        `BEGIN; INSERT INTO t SELECT i, repeat('x', 100) FROM generate_series(${first}, ${first + rows - 1}) i; SAVEPOINT s; UPDATE t SET v = 'no' WHERE id >= ${first}; ROLLBACK TO s; INSERT INTO k SELECT i % 7, 'k' FROM generate_series(1, ${rows}) i; PREPARE TRANSACTION '${name} ${round}'`;
      const first = 100_000 * (round + 1);
      await sql(db.source, prepare('small', first, 10));
      await sql(db.source, prepare('large', first + 1000, 3000));
      await sql(db.source, prepare('undone', first + 10_000, 3000));
      await sql(db.source, prepare('left', first + 20_000, 3000));
      await sleep(200);
      if (round < 3) await running.kill(victim);
      // The session that asked may have gone with its server.
      for (const end of ['COMMIT PREPARED $$small', 'ROLLBACK PREPARED $$undone', 'COMMIT PREPARED $$large'])
        await eventually(() => sql(db.source, `${end.replace('$$', "'")} ${round}'`), { timeout: 30_000 });
      if (round >= 3) {
        await sleep(100 * (round - 3));
        await running.kill(victim);
      }
      if (round > 0) await eventually(() => sql(db.source, `COMMIT PREPARED 'left ${round - 1}'`), { timeout: 30_000 });
    }
    await sql(db.source, `ROLLBACK PREPARED 'left 5'`);
    await ticks.stop();
    await eventually(() => compareTables(db.source, db.target), { timeout: 60_000, interval: 500 });
  },
);
