import type { DestinationStream } from 'pino';
import { EventLog } from '../observe/events.ts';
import { createLog } from '../observe/log.ts';
import { Metrics } from '../observe/metrics.ts';
import { StatusModel } from '../observe/model.ts';
import type { TableListing } from '../observe/table-book.ts';
import { parseLsn } from '../postgres/lsn.ts';
import { Problem } from '../problem.ts';
import { FORM_FIELD } from '../http/access.ts';
import type { TablePlan } from '../table-plan.ts';
import { startHttpServer } from '../http/server.ts';
import type { HttpServer } from '../http/server.ts';
import { slotReading } from './slot-reading.ts';

export const TOKEN = 'correct horse battery'.replaceAll(' ', '-');

export interface Harness extends HttpServer {
  readonly model: StatusModel;
  readonly events: EventLog;
  /** `pause by …` and `resume by …`, as the controls were called. */
  readonly calls: string[];
  /** What pause and resume throw, if anything. */
  failWith: unknown;
  readonly logged: string[];
  fetch(path: string, init?: RequestInit): Promise<Response>;
  /** Sends a form of the page with these fields, as a browser does; `headers` as a login has given them. */
  submit(path: string, fields?: Record<string, string>, headers?: Record<string, string>): Promise<Response>;
}

/** What following a table would come down to. */
export function samplePlan(table: string): TablePlan {
  return {
    table,
    target: table,
    possible: true,
    rows: 1200,
    bytes: 8192,
    identity: 'full',
    targetExists: false,
    targetHasRows: null,
    sourceStatements: [`ALTER TABLE ONLY ${table} REPLICA IDENTITY FULL;`],
    creates: [`table ${table}`],
    steps: [`${table} is put into the publication on the source.`, 'About 1,200 rows are copied (8.0 kB).'],
    findings: [
      { code: 'REPLICA_IDENTITY', level: 'warning', where: 'source', table, message: `${table} has no key.`, remedy: 'Nothing.' },
    ],
  };
}

export function listing(source: string, change: Partial<TableListing> = {}): TableListing {
  return {
    source,
    target: source,
    identity: 'primary_key',
    state: 'streaming',
    rowsEstimated: 10,
    rowsCopied: 10,
    bytesCopied: 400,
    ...change,
  };
}

/** A real server on a free port over a model that the test drives by hand: streaming three tables. */
export async function serve(
  options: { token?: string | null; host?: string; insecure?: boolean; port?: number } = {},
): Promise<Harness> {
  const logged: string[] = [];
  const destination: DestinationStream = { write: (line) => void logged.push(line) };
  const model = new StatusModel({ name: 'shop', version: '1.0.0', now: Date.now });
  const events = new EventLog({ now: Date.now });
  const calls: string[] = [];
  const harness = { failWith: undefined as unknown };
  const control = (name: 'pause' | 'resume') => async (by: string) => {
    if (harness.failWith !== undefined) throw harness.failWith;
    calls.push(`${name} by ${by}`);
    model.setState(name === 'pause' ? 'paused' : 'streaming');
  };
  const tableControl = (name: string) => async (table: string, by: string) => {
    if (harness.failWith !== undefined) throw harness.failWith;
    if (name === 'add' && model.table(table))
      throw new Problem('NOT_POSSIBLE_NOW', `${table} is followed already.`, { remedy: 'Nothing needs to be done.' });
    calls.push(`${name} ${table} by ${by}`);
    return null;
  };
  const server = await startHttpServer({
    config: {
      host: options.host ?? '127.0.0.1',
      port: options.port ?? 0,
      token: options.token ?? null,
      insecure: options.insecure ?? false,
    },
    model,
    events,
    metrics: new Metrics({ model, defaultMetrics: false }),
    controls: {
      pause: control('pause'),
      resume: control('resume'),
      addTable: tableControl('add'),
      removeTable: tableControl('remove'),
      resyncTable: tableControl('resync'),
      retryTable: tableControl('retry'),
      planTable: async (table) => {
        if (harness.failWith !== undefined) throw harness.failWith;
        calls.push(`plan ${table}`);
        return samplePlan(table);
      },
      validate: async (tables, by) => void (await tableControl('validate')(tables.join(' '), by)),
      cancelValidation: async (by) => void (await tableControl('cancel')('validation', by)),
      planResync: async (table) => {
        if (harness.failWith !== undefined) throw harness.failWith;
        calls.push(`plan resync ${table}`);
        return { ...samplePlan(table), targetExists: true, targetHasRows: true };
      },
      bringSequences: async () => {
        if (harness.failWith !== undefined) throw harness.failWith;
        calls.push('bring sequences');
        return { followed: 2, faults: [] };
      },
    },
    settings: {
      config: { name: 'shop', http: { token: '***' } },
      origins: { name: 'flag --name' },
      yaml: 'name: shop # flag --name\nhttp:\n  token: "***"\n',
    },
    log: createLog({ level: 'info', destination }),
    version: '1.0.0',
  });
  model.database('source', { connected: true, serverVersion: '18.4', database: 'pg_x' });
  model.database('target', { connected: true, serverVersion: '17.9', database: 'pg_y' });
  model.followed.list([
    listing('public.customers'),
    listing('public.orders'),
    listing('public.tb_trx_src', { target: 'public.tb_trx_dest', identity: 'full' }),
  ]);
  model.stream.slot(slotReading());
  model.stream.sourceWalEnd(parseLsn('0/1A2B3C8'));
  model.stream.received(parseLsn('0/1A2B3C8'), 100);
  model.stream.applied(parseLsn('0/1A2B3C8'));
  model.stream.acknowledged(parseLsn('0/1A2B380'));
  model.stream.heartbeatEmitted('first', Date.now());
  model.stream.heartbeatApplied('first');
  model.setState('streaming');
  const request = (path: string, init?: RequestInit): Promise<Response> =>
    fetch(`${server.address}${path}`, { redirect: 'manual', ...init });
  return Object.assign(harness, {
    ...server,
    model,
    events,
    calls,
    logged,
    fetch: request,
    submit: async (path: string, fields: Record<string, string> = {}, headers: Record<string, string> = {}) => {
      const page = await (await request('/', { headers })).text();
      const value = new RegExp(`name="${FORM_FIELD}" value="([^"]+)"`).exec(page)?.[1] ?? '';
      return request(path, { method: 'POST', headers, body: new URLSearchParams({ ...fields, [FORM_FIELD]: value }) });
    },
  });
}
