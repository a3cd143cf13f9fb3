import { setTimeout as sleep } from 'node:timers/promises';
import { connect, sql } from './servers.mjs';

const NAME = 'bench_native';

/** PostgreSQL's own logical replication, with the options that make it fastest. */
export class Native {
  name = 'native';
  slot = NAME;
  #source;
  #target;
  #version;
  #tables;
  #copy;
  #created = false;

  /** URLs of the two databases; `tables` quoted; `copy`: whether rows that are there already are copied. */
  constructor({ source, target, version, tables, copy }) {
    this.#source = source;
    this.#target = target;
    this.#version = version;
    this.#tables = tables;
    this.#copy = copy;
  }

  /** What has to exist before anybody may start the clock. */
  async prepare() {
    await sql(this.#source, `CREATE PUBLICATION ${NAME} FOR TABLE ${this.#tables.join(', ')}`);
  }

  /** Starts, the first time or again. Returns when it was told to, ms since 1970. */
  async start() {
    const client = await connect(this.#target);
    try {
      const startedAt = performance.timeOrigin + performance.now();
      await client.query(this.#created ? `ALTER SUBSCRIPTION ${NAME} ENABLE` : this.#create());
      this.#created = true;
      return startedAt;
    } finally {
      await client.end();
    }
  }

  #create() {
    const options = ['binary = true', `copy_data = ${this.#copy}`, `streaming = ${this.#version >= 16 ? 'parallel' : 'on'}`];
    if (this.#version >= 16) options.push('origin = any');
    return `CREATE SUBSCRIPTION ${NAME} CONNECTION '${libpqWords(this.#source)}' PUBLICATION ${NAME} WITH (${options.join(', ')})`;
  }

  /**
   * Whether every table is copied and has caught up, asked over a connection to the target. A table in state s has,
   * though its own worker has not yet handed it over.
   */
  async inStep(target) {
    const { rows } = await target.query(
      `SELECT count(*) FILTER (WHERE srsubstate IN ('r', 's')) = ${this.#tables.length} AS done FROM pg_subscription_rel`,
    );
    return rows[0].done;
  }

  /** What stops native replication is in the server's log alone. */
  async check() {}

  /** Nothing that could not be read from the servers. */
  async usage() {
    return {};
  }

  async stop() {
    await sql(this.#target, `ALTER SUBSCRIPTION ${NAME} DISABLE`);
    await untilInactive(this.#source, NAME);
  }

  /** Leaves nothing on the source; the target's database is going to be dropped. */
  async remove() {
    await untilInactive(this.#source, NAME);
    await sql(this.#target, `ALTER SUBSCRIPTION ${NAME} DISABLE; ALTER SUBSCRIPTION ${NAME} SET (slot_name = NONE)`);
    await sql(this.#target, `DROP SUBSCRIPTION ${NAME}`);
    await sql(this.#source, `SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = '${NAME}'`);
  }
}

function libpqWords(url) {
  const { hostname, port, username, password, pathname } = new URL(url);
  return `host=${hostname} port=${port} user=${username} password=${password} dbname=${decodeURIComponent(pathname.slice(1))}`;
}

/** Waits until nobody reads from the slot. */
async function untilInactive(source, slot) {
  for (let tries = 0; tries < 1000; tries++) {
    const rows = await sql(source, `SELECT FROM pg_replication_slots WHERE slot_name = '${slot}' AND active`);
    if (rows.length === 0) return;
    await sleep(20);
  }
  throw new Error(`somebody still reads from slot ${slot}`);
}
