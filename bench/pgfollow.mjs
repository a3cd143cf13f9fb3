import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { sql } from './servers.mjs';
import { peakMemory, processCpu } from './usage.mjs';

const NAME = 'bench_pgfollow';
/** The event loop's delay is measured with a timer of this length, which is part of what it says. */
const LOOP_TIMER_MS = 100;

/** Our own command, as a user starts it: `pgfollow run` in a process of its own, with its defaults. */
export class Pgfollow {
  name = 'pgfollow';
  slot = NAME;
  #source;
  #target;
  #copy;
  #dist;
  #nodeOptions;
  #folder = null;
  #port = 0;
  #child = null;
  #cpuAtStart = NaN;
  /** Takes back that process and folder are removed when this process ends, however that is. */
  #release = () => {};
  #log = '';

  /** `dist`: folder of the build; `nodeOptions`: for the process, such as --cpu-prof. */
  constructor({ source, target, copy, dist, nodeOptions }) {
    this.#source = source;
    this.#target = target;
    this.#copy = copy;
    this.#dist = dist;
    this.#nodeOptions = nodeOptions;
  }

  async prepare() {
    this.#folder = await mkdtemp(join(tmpdir(), 'pgfollow-bench-'));
    this.#port = await this.#freePort();
    const config = {
      name: NAME,
      source: { url: this.#source },
      target: { url: this.#target },
      tables: { include: ['public.*'] },
      snapshot: { copy: this.#copy },
      http: { port: this.#port },
      log: { level: 'warn' },
    };
    await this.#guard(null);
    // JSON is YAML.
    await writeFile(this.#configFile, JSON.stringify(config), { mode: 0o600 });
  }

  /** Starts, the first time or again. Returns when the process was started, ms since 1970. */
  async start() {
    this.#log = '';
    const startedAt = performance.timeOrigin + performance.now();
    const child = spawn(
      process.execPath,
      [...this.#nodeOptions, '--enable-source-maps', join(this.#dist, 'cli/main.js'), 'run', '--config', this.#configFile],
      { stdio: ['ignore', 'pipe', 'pipe'], env: { PATH: process.env['PATH'] ?? '' } },
    );
    for (const stream of [child.stdout, child.stderr])
      stream.on('data', (text) => (this.#log = `${this.#log}${text}`.slice(-4000)));
    this.#child = child;
    await once(child, 'spawn');
    await this.#guard(child.pid);
    return startedAt;
  }

  /**
   * Called while the program starts: from where it has loaded, CPU and event loop are those of its work. Loading takes
   * CPU too, and holds the event loop, once.
   */
  async loaded() {
    for (let tries = 0; tries < 1000; tries++) {
      this.#assertRunning();
      const response = await this.#get('/metrics').catch(() => null);
      if (response) {
        // Reading the gauges of the event loop sets them back.
        await response.text();
        this.#cpuAtStart = processCpu(this.#child.pid);
        return;
      }
      await sleep(10);
    }
    throw new Error(`pgfollow does not listen\n${this.#log}`);
  }

  /** Whether every table is copied and followed. */
  async inStep() {
    const status = await this.#status();
    return status !== null && status.tables.total > 0 && status.tables.streaming === status.tables.total;
  }

  /** CPU (ms) and event loop delay (ms) since loaded(), memory (bytes), and when its first connection was made (ms since 1970). */
  async usage() {
    this.#assertRunning();
    const text = await this.#get('/metrics').then((response) => response.text());
    const gauge = (name) => Number(new RegExp(`^${name} (\\S+)$`, 'm').exec(text)?.[1] ?? NaN);
    const sum = (name) =>
      [...text.matchAll(new RegExp(`^${name}\\{.*\\} (\\S+)$`, 'gm'))].reduce((all, [, value]) => all + Number(value), 0);
    const interruptions = sum('pgfollow_errors_total') + sum('pgfollow_reconnects_total');
    if (interruptions > 0) throw new Error(`pgfollow had to start over, so its time means nothing\n${this.#log}`);
    return {
      cpuMs: processCpu(this.#child.pid) - this.#cpuAtStart,
      peakBytes: peakMemory(this.#child.pid),
      loopMaxMs: Math.max(0, gauge('nodejs_eventloop_lag_max_seconds') * 1000 - LOOP_TIMER_MS),
      loopP99Ms: gauge('nodejs_eventloop_lag_p99_seconds') * 1000,
      connectedAt: await this.#connectedAt(),
    };
  }

  /** Throws when there is nothing more to wait for. */
  async check() {
    this.#assertRunning();
    const status = await this.#status();
    if (!status || !(status.state === 'failed' || status.state === 'retrying' || status.tables.error > 0)) return;
    throw new Error(`pgfollow is in trouble: ${JSON.stringify(status.problems)}\n${this.#log}`);
  }

  /** CPU of the process so far, its start included, ms; 0 before. */
  wholeCpu() {
    return this.#child ? processCpu(this.#child.pid) : 0;
  }

  /** Stops it as a user would. */
  async stop() {
    const child = this.#child;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    this.#child = null;
    const exited = once(child, 'exit');
    child.kill('SIGTERM');
    const [code] = await exited;
    await this.#guard(null);
    if (code !== 0) throw new Error(`pgfollow ended with ${code}\n${this.#log}`);
  }

  async remove() {
    if (this.#child?.exitCode === null) this.#child.kill('SIGKILL');
    if (this.#folder) await rm(this.#folder, { recursive: true, force: true });
    this.#release();
    await sql(
      this.#source,
      `SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE slot_name = '${NAME}' AND active;
       SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = '${NAME}'`,
    );
    await this.#dropOrigins();
  }

  // They belong to the server, not to the database that is going to be dropped, and a server has few places for them: without
  // one, native replication copies no table, and tries for ever.
  async #dropOrigins() {
    const session = `application_name LIKE 'pgfollow ${NAME} %' AND datname = current_database()`;
    const look = `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE ${session}`;
    while ((await sql(this.#target, look)).length > 0) await sleep(20);
    await sql(
      this.#target,
      `SELECT pg_replication_origin_drop(roname) FROM pg_replication_origin WHERE starts_with(roname, 'pgfollow_${NAME}_')`,
    );
  }

  async #guard(pid) {
    const { guard } = await this.#built('embedded/guard.js');
    const release = this.#release;
    this.#release = guard({ pid, remove: this.#folder });
    release();
  }

  /** One that no outgoing connection is given between this and the start, and the bench makes many. */
  async #freePort() {
    const { freePort } = await this.#built('embedded/free-port.js');
    return freePort();
  }

  #built(file) {
    return import(pathToFileURL(join(this.#dist, file)).href);
  }

  get #configFile() {
    return join(this.#folder, 'pgfollow.yaml');
  }

  /** The control connections stay as long as a session, so the oldest one there is tells when it began. */
  async #connectedAt() {
    const first = `SELECT min(extract(epoch FROM backend_start) * 1000)::float8 AS at FROM pg_stat_activity WHERE application_name LIKE 'pgfollow %'`;
    const found = await Promise.all([this.#source, this.#target].map((url) => sql(url, first)));
    return Math.min(...found.map(([row]) => row.at));
  }

  /** Null while it does not listen. */
  async #status() {
    this.#assertRunning();
    const response = await this.#get('/api/v1/status').catch(() => null);
    return response && (await response.json());
  }

  #get(path) {
    return fetch(`http://127.0.0.1:${this.#port}${path}`);
  }

  #assertRunning() {
    if (this.#child?.exitCode !== null) throw new Error(`pgfollow has ended\n${this.#log}`);
  }
}
