import { startHttpServer } from '../http/server.ts';
import { Pipeline } from '../pipeline.ts';
import type { Assemble } from './serve.ts';
import { VERSION } from './version.ts';

/** The real pipeline, and the HTTP server over its model. */
export const assemble: Assemble = (config, log) => {
  const pipeline = new Pipeline(config, { log, version: VERSION });
  const { model, events, metrics, controls } = pipeline;
  return {
    pipeline,
    listen: (http) => startHttpServer({ config: http, model, events, metrics, controls, log, version: VERSION }),
  };
};
