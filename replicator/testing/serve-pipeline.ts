import { pino } from 'pino';
import { startHttpServer, type HttpServer } from '../http/server.ts';
import type { RunningPipeline } from './run-pipeline.ts';

/** The HTTP API of a pipeline in this process, on a free port and without a token, for commands that ask it. */
export async function servePipeline({ pipeline }: RunningPipeline): Promise<HttpServer & AsyncDisposable> {
  const { model, events, metrics, controls } = pipeline;
  const server = await startHttpServer({
    config: { host: '127.0.0.1', port: 0, token: null, insecure: false },
    model,
    events,
    metrics,
    controls,
    settings: { config: {}, origins: {}, yaml: '' },
    log: pino({ level: 'silent' }),
    version: '0.0.0',
  });
  return { ...server, [Symbol.asyncDispose]: () => server.close() };
}
