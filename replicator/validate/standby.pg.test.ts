// The source is a standby (PostgreSQL 16 and newer).
import { expect, test } from 'vitest';
import { DEFAULT_VERSION } from '../embedded/binaries.ts';
import { ownServers, sql } from '../testing/databases.ts';
import { eventually } from '../testing/eventually.ts';
import { startLoad } from '../testing/load.ts';
import { startPipeline } from '../testing/run-pipeline.ts';
import { TEST_VERSION } from '../testing/servers.ts';
import { startStandby } from '../testing/standby.ts';
import { inShort, validated } from '../testing/validation.ts';

const VERSION = TEST_VERSION >= 16 ? TEST_VERSION : DEFAULT_VERSION;
const TABLES = 'CREATE TABLE k (id int PRIMARY KEY, v int, filler text); CREATE TABLE word (w text PRIMARY KEY, v int)';
/** Wrong on the target in the end. */
const WRONG = 1500;

test('a standby as source is compared while the primary is written to: no false alarm, and what is wrong is found', async () => {
  await using db = await ownServers({ source: { version: VERSION } });
  for (const side of [db.source, db.target]) await sql(side, TABLES);
  await sql(
    db.source,
    `CREATE PUBLICATION p FOR TABLE k, word; INSERT INTO k SELECT n, n, repeat('x', 50) FROM generate_series(1, 3000) n;
     INSERT INTO word SELECT 'w' || n, n FROM generate_series(1, 500) n`,
  );
  await using standby = await startStandby(db.source);
  const source = { url: standby.url(db.source.name) };
  await using running = startPipeline(db, { source, publication: { managed: false, names: ['p'] } });
  await eventually(
    async () => {
      // A slot on a standby waits for the primary to tell which transactions run.
      await sql(db.source, 'SELECT pg_log_standby_snapshot()');
      expect(running.pipeline.model.state).toBe('streaming');
    },
    { timeout: 60_000, interval: 500 },
  );
  const at = (most: number): number => 1 + Math.floor(Math.random() * most);
  const seen: string[] = [];
  {
    await using load = startLoad(db.source, 2, async (session) => {
      // Not the row that is wrong on the target in the end: an UPDATE would bring it all that it lacks.
      const id = at(WRONG - 1);
      await session.query(
        `BEGIN; UPDATE k SET v = v + 1 WHERE id = ${id}; DELETE FROM k WHERE id = ${-at(50)}; INSERT INTO k VALUES (${-at(50)}, 0, 'new') ON CONFLICT DO NOTHING;
         DELETE FROM word WHERE w = 'w${at(500)}'; INSERT INTO word VALUES ('w${at(500)}', ${id}) ON CONFLICT (w) DO UPDATE SET v = 0; COMMIT`,
      );
    });
    for (let round = 0; round < 5; round++) {
      for (const [table, found] of Object.entries(await validated(running)))
        if (!['equal', 'unsettled'].includes(found.state))
          seen.push(`${table} ${inShort(found)} ${JSON.stringify(found.examples)}`);
    }
    expect(load.committed).toBeGreaterThan(50);
    await sql(db.target, `UPDATE k SET filler = 'wrong' WHERE id = ${WRONG}`);
    const found = await validated(running, ['public.k']);
    expect(found['public.k']).toMatchObject({ examples: [{ kind: 'different', key: `id=${WRONG}` }] });
  }
  expect(seen).toEqual([]);
}, 180_000);
