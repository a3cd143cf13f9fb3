import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { TABLE_STATES, type Status, type StatusProblem, type TableStatus } from '../observe/status.ts';
import type { Io, SignalName } from '../cli/io.ts';

/** An Io whose output is kept, whose environment is empty and whose folder has no pgfollow.yaml. */
export interface TestIo extends Io {
  out(): string;
  err(): string;
  signal(name: SignalName): void;
  /** Presses a key, where it is a terminal. */
  press(key: string): void;
  /** Handlers that wait for a signal or a key. */
  listening(): number;
}

export function testIo(options: { env?: Record<string, string>; tty?: boolean; answer?: string; cwd?: string } = {}): TestIo {
  const written = { out: '', err: '' };
  const handlers = new Set<(name: SignalName) => void>();
  const keys = new Set<(key: string) => void>();
  const output = (name: 'out' | 'err') => ({
    write: (text: string) => (written[name] += text),
    isTTY: options.tty ?? false,
    columns: 100,
    rows: 30,
  });
  return {
    stdout: output('out'),
    stderr: output('err'),
    env: options.env ?? {},
    cwd: options.cwd ?? '/nonexistent',
    ask:
      options.answer === undefined
        ? null
        : async (question) => {
            written.err += question;
            return options.answer ?? '';
          },
    onKey: options.tty
      ? (handler) => {
          keys.add(handler);
          return () => keys.delete(handler);
        }
      : null,
    onSignal(handler) {
      handlers.add(handler);
      return () => handlers.delete(handler);
    },
    out: () => written.out,
    err: () => written.err,
    signal: (name) => [...handlers].forEach((handler) => handler(name)),
    press: (key) => [...keys].forEach((handler) => handler(key)),
    listening: () => handlers.size + keys.size,
  };
}

export interface TestApi extends AsyncDisposable {
  readonly url: string;
  readonly requests: { method: string; path: string; authorization: string | undefined }[];
}

/** What a route answers: a body with 200, or what it says itself. */
export type Answer = { status: number; body: unknown } | (() => { status: number; body: unknown });

/** A stand-in for a running pgfollow. Paths that are not listed answer 404. Port 0 is a free one. */
export async function testApi(routes: Record<string, Answer>, port = 0): Promise<TestApi> {
  const requests: TestApi['requests'] = [];
  const server = createServer((request: IncomingMessage, response) => {
    const key = `${request.method} ${request.url}`;
    requests.push({ method: request.method ?? '', path: request.url ?? '', authorization: request.headers.authorization });
    const route = routes[key] ?? { status: 404, body: { title: 'not found' } };
    const { status, body } = typeof route === 'function' ? route() : route;
    response.writeHead(status, { 'content-type': status < 400 ? 'application/json' : 'application/problem+json' });
    response.end(JSON.stringify(body));
  });
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** The problem of a pipeline that cannot go on, with parts replaced. */
export function sampleProblem(parts: Partial<StatusProblem> = {}): StatusProblem {
  return {
    code: 'SLOT_LOST',
    message: 'The slot is lost.',
    remedy: 'Copy again.',
    since: '2026-01-02T04:00:00Z',
    table: null,
    retryAt: null,
    occurrences: 1,
    ...parts,
  };
}

/** The status of a pipeline that streams, with parts replaced. */
export function sampleStatus(parts: Partial<Status> = {}, tables: Partial<Status['tables']> = {}): Status {
  const none = Object.fromEntries(TABLE_STATES.map((state) => [state, 0])) as Record<(typeof TABLE_STATES)[number], number>;
  return {
    name: 'shop',
    version: '1.0.0',
    state: 'streaming',
    since: '2026-01-02T03:04:05.000Z',
    summary: 'Streaming. pg_y is 0.2 s behind pg_x.',
    source: { connected: true, serverVersion: '18.4', database: 'pg_x', walEnd: '0/1A2B3C8' },
    target: { connected: true, serverVersion: '17.9', database: 'pg_y' },
    slot: { name: 'shop', active: true, walStatus: 'reserved', retainedBytes: 1536, limitBytes: null },
    position: { received: '0/1A2B3C8', applied: '0/1A2B3C8', acknowledged: '0/1A2B380' },
    lag: { seconds: 0.2, bytes: 0 },
    rates: { rowsPerSecond: 0, transactionsPerSecond: 0 },
    totals: { insert: 1234567, update: 2, delete: 3, truncate: 0, transactions: 1 },
    work: {
      seconds: 60,
      shares: { source: 0.9, decode: 0, apply: 0.1, lock: 0, commit: 0, tables: 0, paused: 0 },
      queueFull: 0,
      bottleneck: null,
      summary: 'Nothing is in the way.',
    },
    tables: { total: 3, ...none, streaming: 3, ...tables },
    copy: null,
    problems: [],
    ...parts,
  };
}

/** One table that streams, with parts replaced. */
export function sampleTable(parts: Partial<TableStatus> = {}): TableStatus {
  return {
    source: 'public.orders',
    target: 'public.orders',
    state: 'streaming',
    identity: 'primary_key',
    snapshot: { rowsCopied: 10, rowsEstimated: 10, bytesCopied: 400, startedAt: null, finishedAt: null },
    applied: { insert: 1, update: 0, delete: 0, truncate: 0 },
    conflicts: { insertExists: 0, updateMissing: 0, deleteMissing: 0 },
    spooledBytes: 0,
    lastChangeAt: null,
    validation: null,
    waiting: null,
    error: null,
    ...parts,
  };
}
