import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { compareTables } from '../testing/compare.ts';
import { sql, testDatabases, value, type TestDatabases } from '../testing/databases.ts';
import { eventually } from '../testing/eventually.ts';
import { startLoad } from '../testing/load.ts';
import { startPipeline } from '../testing/run-pipeline.ts';
import { startProxy, type ProxiedConnection, type TcpProxy } from '../testing/tcp-proxy.ts';

// No key, so that nothing but the count tells a row that was applied twice.
const TICK = 'CREATE TABLE tick (client int, n int)';
const COMMIT = Buffer.from('COMMIT\0');

test('the connection ends just before a commit, after it with the answer unheard, or at any byte: rows and checkpoint agree', async () => {
  await using db = await tickDatabases();
  await using proxy = await startProxy(db.target.url);
  await using running = startPipeline(db, { target: { url: proxy.url } });
  await running.caughtUp();
  await using load = startTicks(db);
  const cuts: string[] = [];
  for (let n = 0; n < 5; n++) {
    for (const [name, cut] of Object.entries({ cutBeforeCommit, cutAfterCommit, cutAnywhere })) {
      cut(proxy, db.name, () => cuts.push(name));
      const wanted = cuts.length + 1;
      await eventually(() => cuts.length === wanted);
      const now = await rows(db);
      await eventually(async () => (await rows(db)) > now);
    }
  }
  await load.stop();
  await running.caughtUp();
  await compareTables(db.source, db.target, 'public.tick');
  expect(running.pipeline.model.status()).toMatchObject({ state: 'streaming', problems: [] });
});

test(
  'a commit that reaches the target long after its client has gone is waited for, not done twice',
  { timeout: 60_000 },
  async () => {
    await using db = await tickDatabases();
    await using proxy = await startProxy(db.target.url);
    await using running = startPipeline(db, { target: { url: proxy.url } });
    await running.caughtUp();
    let held: { connection: ProxiedConnection; bytes: Buffer } | null = null;
    proxy.toServer = (connection, bytes) => {
      const at = isApplying(connection, db.name) && held === null ? bytes.indexOf(COMMIT) : -1;
      if (at < 0) return held?.connection === connection ? null : bytes;
      held = { connection, bytes: bytes.subarray(at) };
      connection.cutClient();
      return bytes.subarray(0, at);
    };
    await sql(db.source, `INSERT INTO tick VALUES (1, 1), (1, 1)`);
    // The backend has the rows and waits for the rest, so whoever comes next finds the pipeline taken.
    await eventually(() => running.pipeline.model.status().problems.some((problem) => problem.code === 'PIPELINE_LOCKED'));
    expect(running.pipeline.model.status()).toMatchObject({
      state: 'retrying',
      problems: [{ remedy: expect.stringContaining('pg_terminate_backend') }],
    });
    expect(await rows(db)).toBe(0);
    const zombie = held as { connection: ProxiedConnection; bytes: Buffer } | null;
    zombie?.connection.send(zombie.bytes);
    await eventually(async () => (await rows(db)) === 2);
    zombie?.connection.cut();
    await sql(db.source, `INSERT INTO tick VALUES (2, 2)`);
    await running.caughtUp();
    await compareTables(db.source, db.target, 'public.tick');
  },
);

test('a transaction in many pieces, cut between them: not a row of it shows before all do', { timeout: 90_000 }, async () => {
  await using db = await tickDatabases();
  await using proxy = await startProxy(db.target.url);
  await using running = startPipeline(db, { target: { url: proxy.url }, apply: { maxBatchBytes: '64kB' } });
  await running.caughtUp();
  const seen = new Set<number>();
  for (let cut = 1; cut <= 3; cut++) {
    let applied = 0;
    let done = false;
    proxy.toServer = (connection, bytes) => {
      if (!isApplying(connection, db.name) || done) return bytes;
      applied += bytes.length;
      if (applied < cut * 200_000) return bytes;
      done = true;
      connection.cut();
      return null;
    };
    await sql(db.source, 'INSERT INTO tick SELECT $1, n FROM generate_series(1, 50000) n', [cut]);
    await eventually(async () => {
      const now = await rows(db);
      seen.add(now);
      return now === cut * 50_000;
    });
    expect(done).toBe(true);
  }
  await running.caughtUp();
  await compareTables(db.source, db.target, 'public.tick');
  expect([...seen].sort((a, b) => a - b)).toEqual([0, 50_000, 100_000, 150_000]);
  expect(running.pipeline.model.status().totals.insert).toBe(150_000);
});

test('an administrator ends one session after the other, in the middle of work', { timeout: 60_000 }, async () => {
  await using db = await tickDatabases();
  await using running = startPipeline(db);
  await running.caughtUp();
  await using load = startTicks(db);
  const sessions = [
    [db.target, 'apply'],
    [db.source, 'stream'],
    [db.target, 'control'],
    [db.source, 'control'],
  ] as const;
  for (const [side, purpose] of [...sessions, ...sessions]) {
    const end = `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = $1`;
    await eventually(async () => (await sql(side, end, [`pgfollow ${db.name} ${purpose}`])).length === 1);
    const now = await rows(db);
    await eventually(async () => (await rows(db)) > now + 10);
  }
  await load.stop();
  await running.caughtUp();
  await compareTables(db.source, db.target, 'public.tick');
  expect(running.pipeline.model.status()).toMatchObject({ state: 'streaming', problems: [] });
});

test('a checkpoint that somebody else has moved stops the transaction that relies on it', async () => {
  await using db = await tickDatabases();
  await using running = startPipeline(db, { heartbeat: { interval: '1h' } });
  await running.caughtUp();
  await sql(db.target, `UPDATE pgfollow.checkpoint SET applied_lsn = applied_lsn + 1 WHERE pipeline = $1`, [db.name]);
  await sql(db.source, 'INSERT INTO tick VALUES (1, 1)');
  const codes = () => running.pipeline.events.after().map((event) => event.code);
  await eventually(() => codes().includes('CHECKPOINT_LOST'));
  // It begins again from the checkpoint as it is now: here the transactions after it are the same.
  await running.caughtUp();
  await compareTables(db.source, db.target, 'public.tick');
});

async function tickDatabases(): Promise<TestDatabases> {
  const db = await testDatabases();
  for (const side of [db.source, db.target]) await sql(side, TICK);
  return db;
}

function startTicks(db: TestDatabases) {
  return startLoad(db.source, 4, async (session, client, n) => {
    await session.query(`INSERT INTO tick VALUES (${client}, ${n})`);
    await sleep(5);
  });
}

function isApplying({ startup }: ProxiedConnection, name: string): boolean {
  return startup.includes(`pgfollow ${name} apply`);
}

/** The target gets everything of a transaction but its COMMIT. */
function cutBeforeCommit(proxy: TcpProxy, name: string, done: () => void): void {
  cutAt(proxy, name, done, (bytes) => bytes.lastIndexOf(COMMIT));
}

/** The target gets the first part of what is sent with some transaction: anything up to all of it. */
function cutAnywhere(proxy: TcpProxy, name: string, done: () => void): void {
  cutAt(proxy, name, done, (bytes) => (bytes.includes(COMMIT) ? Math.floor(Math.random() * (bytes.length + 1)) : -1));
}

function cutAt(proxy: TcpProxy, name: string, done: () => void, place: (bytes: Buffer) => number): void {
  proxy.toServer = (connection, bytes) => {
    const at = isApplying(connection, name) ? place(bytes) : -1;
    if (at < 0) return bytes;
    proxy.toServer = (_, rest) => rest;
    setTimeout(() => {
      connection.cut();
      done();
    }, 20);
    return bytes.subarray(0, at);
  };
}

/** The target has committed; what it says of that does not arrive. */
function cutAfterCommit(proxy: TcpProxy, name: string, done: () => void): void {
  proxy.toClient = (connection, bytes) => {
    if (!isApplying(connection, name) || !bytes.includes(COMMIT)) return bytes;
    proxy.toClient = (_, rest) => rest;
    connection.cut();
    done();
    return null;
  };
}

async function rows(db: TestDatabases): Promise<number> {
  return Number(await value(db.target, 'SELECT count(*) FROM tick'));
}
