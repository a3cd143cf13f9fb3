import { pino } from 'pino';
import { configSchema, type Config } from '../config/schema.ts';
import { parseLsn } from '../postgres/lsn.ts';
import { Pipeline } from '../pipeline.ts';
import { value, type TestDatabases } from './databases.ts';
import { eventually } from './eventually.ts';

/** A pipeline in this process, between the databases of a test. Dispose stops it. */
export interface RunningPipeline extends AsyncDisposable {
  readonly pipeline: Pipeline;
  /** Resolves once everything committed on the source by now is visible on the target. */
  caughtUp(timeout?: number): Promise<void>;
  stop(): Promise<void>;
}

/** A complete configuration for these databases; `settings` as in the configuration file. */
export function testConfig(db: TestDatabases, settings: Record<string, unknown> = {}): Config {
  return configSchema.parse({ name: db.name, source: { url: db.source.url }, target: { url: db.target.url }, ...settings });
}

/** Starts a pipeline named after the databases. */
export function startPipeline(db: TestDatabases, settings: Record<string, unknown> = {}): RunningPipeline {
  const pipeline = new Pipeline(testConfig(db, settings), {
    log: pino({ level: process.env['PGFOLLOW_TEST_LOG'] ?? 'silent' }),
    version: '0.0.0',
  });
  const abort = new AbortController();
  const running = pipeline.run(abort.signal);
  const stop = async (): Promise<void> => {
    abort.abort();
    await running;
  };
  return {
    pipeline,
    stop,
    [Symbol.asyncDispose]: stop,
    async caughtUp(timeout = 30_000) {
      const wanted = parseLsn((await value(db.source, 'SELECT pg_current_wal_insert_lsn()')) ?? '');
      await db.source.query(`SELECT pg_logical_emit_message(true, 'pgfollow', 'wait')`);
      await eventually(
        () => {
          const { position, state, problems, tables } = pipeline.model.status();
          const reached = position.applied !== null && parseLsn(position.applied) >= wanted;
          // After a retry the state follows a moment later.
          const settled = state === 'streaming' || state === 'paused';
          if (reached && settled && tables.pending + tables.copying + tables.indexing + tables.catching_up === 0) return;
          throw new Error(`${state}, applied ${position.applied}, wanted ${wanted}: ${JSON.stringify(problems)}`);
        },
        // To look costs nothing, and this is what tests wait for most.
        { timeout, interval: 10 },
      );
    },
  };
}

/** Starts a pipeline and returns it once it has caught up; one that does not is stopped. */
export async function startCaughtUp(db: TestDatabases, settings: Record<string, unknown> = {}): Promise<RunningPipeline> {
  const running = startPipeline(db, settings);
  await running.caughtUp().catch(async (error: unknown) => {
    await running.stop();
    throw error;
  });
  return running;
}
