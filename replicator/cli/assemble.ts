import { startHttpServer } from '../http/server.ts';
import { renderYaml, toJson } from './config-view.ts';
import { Pipeline } from '../pipeline.ts';
import type { Assemble } from './serve.ts';
import { VERSION } from './version.ts';

/** The real pipeline, and the HTTP server over its model. */
export const assemble: Assemble = (loaded, log) => {
  const pipeline = new Pipeline(loaded.config, { log, version: VERSION });
  const { model, events, metrics, controls } = pipeline;
  const settings = { ...toJson(loaded), yaml: renderYaml(loaded) };
  return {
    pipeline,
    listen: (http) => startHttpServer({ config: http, model, events, metrics, controls, settings, log, version: VERSION }),
  };
};
