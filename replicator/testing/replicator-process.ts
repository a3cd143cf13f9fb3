import { spawn, type ChildProcess } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { freePort } from '../embedded/free-port.ts';
import { guard } from '../embedded/guard.ts';
import type { Findings, Status, TableStatus } from '../observe/status.ts';
import type { TestDatabases } from './databases.ts';
import { eventually } from './eventually.ts';

const MAIN = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));

/** What its output never has, whoever is killed: a fault of its own, or a warning of Node.js. */
export const FAULT = /"code":"INTERNAL"|unhandled|\(node:\d+\)/i;

/** `pgfollow run` in a process of its own. Dispose kills it, and so does the end of this process. */
export interface ReplicatorProcess extends AsyncDisposable {
  readonly pid: number;
  /** Of the page, `http://127.0.0.1:5884`. */
  readonly address: string;
  status(): Promise<Status>;
  tables(): Promise<TableStatus[]>;
  findings(): Promise<Findings>;
  /** What Prometheus would read. */
  metrics(): Promise<string>;
  /** A request that changes something; resolves with the HTTP status. */
  request(method: 'PUT' | 'POST' | 'DELETE', path: string, body?: unknown): Promise<number>;
  /** Resolves once the pipeline says that it streams. */
  streaming(timeout?: number): Promise<void>;
  /** SIGKILL: it can finish nothing. */
  kill(): Promise<void>;
  /** SIGTERM; resolves with the exit code and how long it took, ms. */
  stop(): Promise<{ exitCode: number | null; ms: number }>;
  /** What it wrote to stdout and stderr. */
  output(): string;
}

/** Starts the built program on these databases; `settings` as in the configuration file. */
export async function spawnReplicator(db: TestDatabases, settings: Record<string, unknown> = {}): Promise<ReplicatorProcess> {
  if (!existsSync(MAIN)) throw new Error('the program is not built: npm run build');
  const port = await freePort();
  const folder = mkdtempSync(join(tmpdir(), 'pgfollow-run-'));
  const config = { name: db.name, source: { url: db.source.url }, target: { url: db.target.url }, http: { port }, ...settings };
  writeFileSync(join(folder, 'pgfollow.yaml'), JSON.stringify(config));
  const child = spawn(process.execPath, ['--enable-source-maps', MAIN, 'run'], {
    cwd: folder,
    env: { PATH: process.env['PATH'], TZ: process.env['TZ'] },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const { pid } = child;
  if (pid === undefined) throw new Error('cannot start the program');
  const release = guard({ pid, remove: folder });
  const pieces: string[] = [];
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (text: string) => pieces.push(text));
  const exited = new Promise<number | null>((resolve) => child.once('exit', (code) => resolve(code)));
  const api = `http://127.0.0.1:${port}/api/v1`;
  const status = async (): Promise<Status> => (await (await fetch(`${api}/status`)).json()) as Status;
  const kill = async (): Promise<void> => {
    child.kill('SIGKILL');
    await exited;
  };
  return {
    pid,
    address: `http://127.0.0.1:${port}`,
    status,
    kill,
    output: () => pieces.join(''),
    tables: async () => ((await (await fetch(`${api}/tables`)).json()) as { tables: TableStatus[] }).tables,
    findings: async () => (await (await fetch(`${api}/findings`)).json()) as Findings,
    metrics: async () => (await fetch(`http://127.0.0.1:${port}/metrics`)).text(),
    request: async (method, path, body) => {
      const sent = body === undefined ? {} : { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } };
      return (await fetch(`${api}/${path}`, { method, ...sent })).status;
    },
    async streaming(timeout = 30_000) {
      await eventually(async () => endedEarly(child, pieces) ?? (await status()).state === 'streaming', { timeout });
    },
    async stop() {
      const startedAt = performance.now();
      child.kill('SIGTERM');
      return { exitCode: await exited, ms: performance.now() - startedAt };
    },
    async [Symbol.asyncDispose]() {
      await kill();
      release();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

function endedEarly(child: ChildProcess, pieces: readonly string[]): undefined {
  if (child.exitCode !== null) throw new Error(`the program ended with ${child.exitCode}:\n${pieces.join('')}`);
}
