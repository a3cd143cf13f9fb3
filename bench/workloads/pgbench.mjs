import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { connect } from '../servers.mjs';

const CLIENTS = 4;

/** The tables of `pgbench -i -s scale`, filled alike wherever it is run. */
export function pgbenchTables(scale) {
  return `
    CREATE TABLE pgbench_history (tid int, bid int, aid int, delta int, mtime timestamp, filler char(22));
    CREATE TABLE pgbench_tellers (tid int NOT NULL, bid int, tbalance int, filler char(84)) WITH (fillfactor = 100);
    CREATE TABLE pgbench_accounts (aid int NOT NULL, bid int, abalance int, filler char(84)) WITH (fillfactor = 100);
    CREATE TABLE pgbench_branches (bid int NOT NULL, bbalance int, filler char(88)) WITH (fillfactor = 100);
    INSERT INTO pgbench_branches SELECT i, 0, '' FROM generate_series(1, ${scale}) i;
    INSERT INTO pgbench_tellers SELECT i, (i - 1) / 10 + 1, 0, '' FROM generate_series(1, ${scale * 10}) i;
    INSERT INTO pgbench_accounts SELECT i, (i - 1) / 100000 + 1, 0, '' FROM generate_series(1, ${scale * 100_000}) i;
    ALTER TABLE pgbench_branches ADD PRIMARY KEY (bid);
    ALTER TABLE pgbench_tellers ADD PRIMARY KEY (tid);
    ALTER TABLE pgbench_accounts ADD PRIMARY KEY (aid)`;
}

/** Runs so many tpcb-like transactions on four connections: with pgbench where it is installed, else with the same SQL. */
export async function pgbench(url, transactions, scale) {
  const each = Math.ceil(transactions / CLIENTS);
  const options = ['-n', '-c', String(CLIENTS), '-t', String(each), '-M', 'prepared', '-s', String(scale)];
  try {
    await promisify(execFile)('pgbench', [...options, url], { env: { ...process.env, PGOPTIONS: '-c synchronous_commit=off' } });
  } catch (error) {
    if (error.code !== 'ENOENT') throw error;
    await Promise.all(Array.from({ length: CLIENTS }, () => tpcb(url, each, scale)));
  }
}

/** https://www.postgresql.org/docs/current/pgbench.html#TRANSACTIONS-AND-SCRIPTS */
async function tpcb(url, transactions, scale) {
  const client = await connect(url);
  const random = (most) => 1 + Math.floor(Math.random() * most);
  const run = (name, text, ...values) => client.query({ name, text, values });
  try {
    await client.query('SET synchronous_commit = off');
    for (let n = 0; n < transactions; n++) {
      const [aid, bid, tid, delta] = [random(100_000 * scale), random(scale), random(10 * scale), random(10_001) - 5001];
      await client.query('BEGIN');
      await run('a', 'UPDATE pgbench_accounts SET abalance = abalance + $1 WHERE aid = $2', delta, aid);
      await run('s', 'SELECT abalance FROM pgbench_accounts WHERE aid = $1', aid);
      await run('t', 'UPDATE pgbench_tellers SET tbalance = tbalance + $1 WHERE tid = $2', delta, tid);
      await run('b', 'UPDATE pgbench_branches SET bbalance = bbalance + $1 WHERE bid = $2', delta, bid);
      await run('h', 'INSERT INTO pgbench_history VALUES ($1, $2, $3, $4, CURRENT_TIMESTAMP)', tid, bid, aid, delta);
      await client.query('COMMIT');
    }
  } finally {
    await client.end();
  }
}
