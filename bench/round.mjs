import { setTimeout as sleep } from 'node:timers/promises';
import { publicTables } from './compare.mjs';
import { Native } from './native.mjs';
import { Pgcopydb } from './pgcopydb.mjs';
import { Pgfollow } from './pgfollow.mjs';
import { connect, sql } from './servers.mjs';
import { machineCpu } from './usage.mjs';

const CONTENDERS = { native: Native, pgfollow: Pgfollow, pgcopydb: Pgcopydb };

const SOURCE_DATABASE = 'bench';

/** The longest that anything is waited for. */
const WAIT_MS = 600_000;
const CHECK_MS = 5_000;
/** The longest that calm is waited for. */
const CALM_MS = 120_000;

/** A last row: once it shows on the target, everything before it does. */
const MARKER = 'CREATE TABLE bench_marker (id int PRIMARY KEY)';

/**
 * A fresh source database and a fresh target database for each contender, filled alike by `setup`, while `work` runs.
 * `work` gets the source's URL and the contenders in the order in which they are to run; with `copy` they start
 * from what `rows` has put into the source alone, without it from target databases that hold the same already. `created`: pgfollow
 * finds an empty database, and creates the tables itself.
 */
export async function withDatabases(bench, { setup, rows = '', copy, created = false, order }, work) {
  const { servers } = bench;
  const source = servers.source.url(SOURCE_DATABASE);
  const contenders = [];
  try {
    await createDatabase(servers.source, SOURCE_DATABASE);
    await fill(source, `${MARKER}; ${setup}; ${rows}`);
    const tables = await tablesOf(source);
    for (const name of order) {
      const target = servers.target.url(`bench_${name}`);
      await createDatabase(servers.target, `bench_${name}`);
      // pgcopydb always brings the tables.
      if (name === 'native' || (name === 'pgfollow' && !created)) await fill(target, `${MARKER}; ${setup}`);
      const options = { source, target, tables, copy, version: bench.version, dist: bench.dist, nodeOptions: bench.nodeOptions };
      contenders.push({ target, contender: new CONTENDERS[name](options) });
    }
    for (const { contender } of contenders) await contender.prepare();
    return await work({ source, contenders });
  } finally {
    for (const { contender } of contenders) await contender.remove().catch((error) => bench.say(`    ${error.message}`));
    for (const name of order) await dropDatabase(servers.target, `bench_${name}`);
    await dropDatabase(servers.source, SOURCE_DATABASE);
  }
}

/** The same state for whoever comes next: nothing dirty in memory, nothing of the target in shared buffers; and calm. */
export async function settle({ servers: { source, target }, calm }) {
  await sql(source.url(), 'CHECKPOINT');
  await target.restart();
  await sql(target.url(), 'CHECKPOINT');
  if (calm < Infinity) await untilCalm(calm);
}

/** Waits, for a while, until this machine has had less than `share` of a core to do for a second. */
async function untilCalm(share) {
  const end = performance.now() + CALM_MS;
  while (performance.now() < end) {
    const [cpu, at] = [machineCpu(), performance.now()];
    await sleep(1000);
    if ((machineCpu() - cpu) / (performance.now() - at) < share) return;
  }
}

/**
 * Asks every `interval` ms until `look` is true, and the contender now and then whether all is well; rejects after
 * WAIT_MS. Returns when it was true, ms since 1970.
 */
export async function until(look, { contender, interval, what }) {
  const began = performance.now();
  let checked = began;
  for (;;) {
    if (await look()) return performance.timeOrigin + performance.now();
    const now = performance.now();
    if (now > began + WAIT_MS) throw new Error(`${contender.name}, ${what}: not within ${WAIT_MS / 1000} s`);
    if (now > checked + CHECK_MS) {
      checked = now;
      await contender.check();
    }
    await sleep(interval);
  }
}

/** When the connection was made that reads from the slot, ms since 1970. */
export async function streamingSince(source, slot) {
  const [row] = await sql(
    source,
    `SELECT extract(epoch FROM backend_start)::float8 * 1000 AS at
       FROM pg_stat_activity JOIN pg_replication_slots ON active_pid = pid WHERE slot_name = '${slot}'`,
  );
  return row?.at ?? NaN;
}

/** Waits until the contender has copied everything and follows. */
export async function untilInStep(contender, target) {
  const client = await connect(target);
  try {
    await until(() => contender.inStep(client), { contender, interval: 10, what: 'in step' });
  } finally {
    await client.end();
  }
}

/** Has each contender take its place in the source's WAL and stop: from here on a backlog gathers for it. */
export async function enroll(contenders) {
  for (const { contender, target } of contenders) {
    await contender.start();
    await untilInStep(contender, target);
    await contender.stop();
  }
}

async function fill(url, setup) {
  await sql(url, setup);
  await sql(url, 'VACUUM (ANALYZE)');
}

async function tablesOf(source) {
  const client = await connect(source);
  try {
    return await publicTables(client);
  } finally {
    await client.end();
  }
}

async function createDatabase(server, name) {
  await dropDatabase(server, name);
  await sql(server.url(), `CREATE DATABASE ${name}`);
}

async function dropDatabase(server, name) {
  await sql(server.url(), `DROP DATABASE IF EXISTS ${name} WITH (FORCE)`);
}
