import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { compareTables } from '../testing/compare.ts';
import { ownServers, sql, value, type TestDatabases } from '../testing/databases.ts';
import { eventually } from '../testing/eventually.ts';
import { startTicks, TICK } from '../testing/load.ts';
import { LOSES_ASYNCHRONOUS_COMMITS } from '../testing/lossy.ts';
import type { ReplicatorProcess } from '../testing/replicator-process.ts';
import { startVictims } from '../testing/victims.ts';

const TABLES = `CREATE TABLE t (id int PRIMARY KEY, v text); CREATE TABLE k (id int, v text); ${TICK}`;

test(
  'whoever is killed while transactions arrive that are in progress: they come whole, once, or not at all',
  { timeout: 180_000 },
  async () => {
    await using db = await ownServers({
      source: { settings: { logical_decoding_work_mem: '64kB' } },
      target: { settings: LOSES_ASYNCHRONOUS_COMMITS },
    });
    for (const side of [db.source, db.target]) await sql(side, TABLES);
    await using spill = spillFolder();
    await using running = await startVictims(db, { apply: { maxBatchBytes: '128kB', spillDirectory: spill.path } });
    await using ticks = startTicks(db.source);
    await running.replicator.streaming();
    for (const [round, victim] of (['replicator', 'replicator', 'target', 'target', 'source', 'source'] as const).entries()) {
      const first = 100_000 * (round + 1);
      await using stays = await db.source.session();
      await using goes = await db.source.session();
      // Without keyless tables they are applied early: what is killed then is not only what is on the disk.
      const keyless = round % 2 === 0 ? `INSERT INTO k SELECT n % 100, 'k' FROM generate_series(1, 10000) n` : '';
      for (const [i, session] of [stays, goes].entries())
        await sql(
          session,
          `BEGIN; INSERT INTO t SELECT n, repeat('x', 100) FROM generate_series(${first + 50_000 * i}, ${first + 50_000 * i + 20_000}) n; ${keyless}`,
        );
      await eventually(async () => expect(await spillBytes(running.replicator)).toBeGreaterThan(1 << 20), { timeout: 40_000 });
      // Open, but without a name as soon as something is written there: nothing is to be cleaned up.
      await eventually(() => expect(readdirSync(spill.path)).toEqual([]));
      await running.kill(victim);
      if (victim !== 'source') {
        // Some of it is undone, some more comes, and again somebody is killed while it is applied.
        await sql(
          stays,
          `SAVEPOINT s; DELETE FROM t WHERE id >= ${first}; ROLLBACK TO s; UPDATE t SET v = 'y' WHERE id % 2 = 0; COMMIT`,
        );
        await sql(goes, 'ROLLBACK');
        await sleep(Math.random() * 500);
        await running.kill('replicator');
      }
      await eventually(async () => expect(await counts(db, 'target')).toBe(await counts(db, 'source')), { timeout: 60_000 });
    }
    await ticks.stop();
    await eventually(() => compareTables(db.source, db.target), { timeout: 60_000, interval: 500 });
    await running.replicator[Symbol.asyncDispose]();
    expect(readdirSync(spill.path)).toEqual([]);
  },
);

function counts(db: TestDatabases, side: 'source' | 'target'): Promise<string | null | undefined> {
  return value(db[side], `SELECT (SELECT count(*) FROM t) || ' ' || (SELECT count(*) FROM k)`).catch(() => null);
}

async function spillBytes(replicator: ReplicatorProcess): Promise<number> {
  return Number(/^pgfollow_spill_bytes (\d+)/m.exec(await replicator.metrics())?.[1]);
}

function spillFolder(): AsyncDisposable & { readonly path: string } {
  const path = mkdtempSync(join(tmpdir(), 'pgfollow-spill-'));
  return { path, [Symbol.asyncDispose]: async () => rmSync(path, { recursive: true }) };
}
