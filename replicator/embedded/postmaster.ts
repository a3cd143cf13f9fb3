import { spawn, type ChildProcess } from 'node:child_process';
import { closeSync, existsSync, openSync, readFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from 'pg';
import { Problem } from '../problem.ts';
import type { Binaries } from './binaries.ts';
import { guard } from './guard.ts';
import { SERVER_ENVIRONMENT, writeSettings } from './initdb.ts';
import { childrenOf, gone, signal as send } from './processes.ts';

/** Server settings, as postgresql.conf would have them. */
export type Settings = Readonly<Record<string, string>>;

/** A PostgreSQL server of our own. It ends with this process, however that ends. */
export class EmbeddedServer implements AsyncDisposable {
  readonly version: number;
  readonly dataDir: string;
  readonly password: string;
  /** What the server says, beside the data directory. */
  readonly logFile: string;
  readonly #binaries: Binaries;
  readonly #temporary: string | null;
  readonly #database: string;
  #settings: Settings;
  #port = 0;
  #running: { child: ChildProcess; pid: number; exited: Promise<unknown> } | null = null;
  #release: () => void = () => {};

  constructor(options: {
    binaries: Binaries;
    dataDir: string;
    /** Folder around the data directory that is ours to remove. */
    temporary: string | null;
    password: string;
    database: string;
    settings: Settings;
  }) {
    this.version = options.binaries.version;
    this.dataDir = options.dataDir;
    this.password = options.password;
    this.logFile = `${options.dataDir}.log`;
    this.#binaries = options.binaries;
    this.#temporary = options.temporary;
    this.#database = options.database;
    this.#settings = options.settings;
    this.#guard(null);
  }

  get port(): number {
    return this.#port;
  }

  /** Process id of the postmaster, null while the server is down. */
  get pid(): number | null {
    return this.#running?.pid ?? null;
  }

  /** Connection URI of the superuser, for the server's own database or another one. */
  url(database: string = this.#database): string {
    return `postgresql://postgres:${this.password}@127.0.0.1:${this.#port}/${encodeURIComponent(database)}`;
  }

  /** Starts the server again on the same data directory. Given settings are added to those it had. */
  async start(options: { port?: number; settings?: Settings; signal?: AbortSignal | undefined } = {}): Promise<void> {
    if (this.#running) throw new Error('the server is running already');
    this.#port = options.port ?? this.#port;
    this.#settings = { ...this.#settings, ...options.settings };
    await writeSettings(this.#binaries, this.dataDir, {
      listen_addresses: '127.0.0.1',
      unix_socket_directories: '',
      ...this.#settings,
      port: String(this.#port),
    });
    const log = openSync(this.logFile, 'a');
    // A process group of its own: a terminal's Ctrl-C is for us, and we shut the server down in order.
    const child = spawn(this.#binaries.postgres, ['-D', this.dataDir], {
      ...this.#binaries.user,
      cwd: this.dataDir,
      env: SERVER_ENVIRONMENT,
      detached: true,
      stdio: ['ignore', log, log],
    });
    closeSync(log);
    const exited = new Promise<unknown>((done) => {
      child.once('exit', done);
      child.once('error', done);
    });
    if (child.pid === undefined) throw this.#failure(`cannot be started: ${String(await exited)}`);
    child.unref();
    this.#running = { child, pid: child.pid, exited };
    void exited.then(() => {
      this.#running = null;
      this.#guard(null);
    });
    this.#guard(child.pid);
    await this.#untilReady(options.signal);
  }

  /** Fast shutdown, after `timeout` ms immediate shutdown, then force. The data directory stays. */
  async stop({ timeout = 10_000 }: { timeout?: number } = {}): Promise<void> {
    const running = this.#running;
    if (!running) return;
    send(running.pid, 'SIGINT');
    if (await endsWithin(running, timeout)) return;
    send(running.pid, 'SIGQUIT');
    if (!(await endsWithin(running, 6_000))) await this.kill();
  }

  /** As a crash would end it: SIGKILL, for every process of the server. After it, start() recovers from the WAL. */
  async kill(): Promise<void> {
    const running = this.#running;
    if (!running) return;
    // Stopped first, so that no child is born between looking and killing.
    send(running.pid, 'SIGSTOP');
    const children = childrenOf(running.pid);
    for (const pid of [running.pid, ...children]) send(pid, 'SIGKILL');
    running.child.ref();
    await running.exited;
    if (!(await gone(children, 10_000))) throw this.#failure('left processes behind after SIGKILL');
  }

  /** stop and start, on the same port. Given settings are added to those it had. */
  async restart(options: { settings?: Settings } = {}): Promise<void> {
    await this.stop();
    await this.start(options);
  }

  /** The last lines of the server's log. */
  logTail(lines = 20): string {
    if (!existsSync(this.logFile)) return '';
    return readFileSync(this.logFile, 'utf8').trimEnd().split('\n').slice(-lines).join('\n');
  }

  /** Stops the server and removes what was temporary. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
    if (this.#temporary) await rm(this.#temporary, { recursive: true, force: true, maxRetries: 3 });
    this.#release();
  }

  async #untilReady(signal: AbortSignal | undefined): Promise<void> {
    const deadline = Date.now() + 60_000;
    while (this.#running) {
      signal?.throwIfAborted();
      const client = new Client({ connectionString: this.url('postgres'), connectionTimeoutMillis: 5_000 });
      client.on('error', () => {});
      try {
        await client.connect();
        return;
      } catch (error) {
        // Anything but "not listening yet" and "starting up" will not go away by waiting.
        const { code } = error as { code?: string };
        if (code !== 'ECONNREFUSED' && code !== '57P03') throw this.#failure(`does not let us in: ${String(error)}`, error);
        if (Date.now() > deadline) throw this.#failure('did not become ready within 60 s', error);
        await sleep(20, undefined, { signal });
      } finally {
        await client.end().catch(() => {});
      }
    }
    throw this.#failure('ended while starting');
  }

  #failure(what: string, cause?: unknown): Problem {
    return new Problem('INTERNAL', `the embedded PostgreSQL ${this.version} ${what}\n${this.logTail()}`, {
      remedy: `The server's own words are above and in ${this.logFile}.`,
      cause,
    });
  }

  /** What has to happen when this process is killed, from now on. */
  #guard(pid: number | null): void {
    const release = this.#release;
    this.#release = pid === null && this.#temporary === null ? () => {} : guard({ pid, remove: this.#temporary });
    release();
  }
}

/** Whether the process ends within `timeout` ms. */
async function endsWithin(running: { child: ChildProcess; exited: Promise<unknown> }, timeout: number): Promise<boolean> {
  running.child.ref();
  const timer = new AbortController();
  const late = sleep(timeout, false, { signal: timer.signal }).catch(() => false);
  const ended = await Promise.race([running.exited.then(() => true), late]);
  timer.abort();
  return ended;
}
