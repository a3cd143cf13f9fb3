import type { Logger } from 'pino';
import { secretsOf } from '../config/redact.ts';
import type { LoadedConfig } from '../config/load.ts';
import type { Config } from '../config/schema.ts';
import { createLog } from '../observe/log.ts';
import type { PipelineEvent, Status, TableStatus } from '../observe/status.ts';
import { describeCopy, Milestones } from './copy-view.ts';
import { EXIT, Failure } from './failure.ts';
import type { Io } from './io.ts';
import { plainDisplay, terminalDisplay, type Display } from './progress.ts';
import { wantsColor } from './style.ts';

/** A pipeline as `run` and `demo` see it. */
export interface Follower {
  /** Resolves after a clean stop; rejects only on a fault of its own. */
  run(signal: AbortSignal): Promise<void>;
  readonly model: { status(): Status; tables(): TableStatus[] };
  readonly events: { subscribe(listener: (event: PipelineEvent) => void): () => void };
}

/** A pipeline and the server that shows it; assemble.ts makes the real ones. */
export interface Assembled {
  readonly pipeline: Follower;
  readonly listen: (http: Config['http']) => Promise<{ address: string; close(): Promise<void> }>;
}

export type Assemble = (loaded: LoadedConfig, log: Logger) => Assembled;

export interface ServeOptions {
  readonly config: Config;
  /** Where each value came from; empty where nobody has said anything. */
  readonly origins?: LoadedConfig['origins'];
  readonly io: Io;
  readonly noColor: boolean;
  readonly assemble: Assemble;
  /** Whether a port that is in use may be replaced by the next free one. */
  readonly otherPort?: boolean;
  readonly onListening?: (http: { port: number; host: string }, say: (text: string) => void) => void;
  /** Called once, when the pipeline streams for the first time. */
  readonly onStreaming?: () => void;
  /** How long a clean stop may take, ms. */
  readonly stopWithinMs?: number;
}

/** Why serve() came back, with the exit code. `forced`: the pipeline may still be at work, so the process has to end. */
export interface Served {
  readonly exitCode: number;
  readonly forced: boolean;
}

const STOP_WITHIN_MS = 10_000;
const REFRESH_MS = 250;
/** Where nobody watches there is only a line to write now and then. */
const LOG_LOOK_MS = 1000;
const PORTS_TRIED = 20;

/**
 * Runs a pipeline and its HTTP server until a signal: the first stops cleanly, within ten seconds; the second at once.
 * Throws Failure or Problem where it cannot start.
 */
export async function serve(options: ServeOptions): Promise<Served> {
  const { config, io } = options;
  const display = displayFor(options);
  const log = createLog({
    level: logLevel(config, display),
    name: config.name,
    secrets: secretsOf(config),
    destination: { write: (line) => void display.logTo.write(line) },
  });
  const { pipeline, listen } = options.assemble({ config, origins: options.origins ?? new Map() }, log);
  const server = await listenOn(listen, options, display);
  const address = new URL(server.address);
  options.onListening?.({ host: config.http.host, port: Number(address.port || 80) }, (text) => display.say(text));

  const stop = new AbortController();
  const unsubscribe = pipeline.events.subscribe((event) => display.event(event));
  const watching = watch(pipeline, { display, log, ...(options.onStreaming ? { onStreaming: options.onStreaming } : {}) });
  const force = untilForced(io, display, stop, options.stopWithinMs ?? STOP_WITHIN_MS);
  try {
    return await Promise.race([force.forced, ended(pipeline, server, { stop, log, display })]);
  } finally {
    force.end();
    watching.end();
    unsubscribe();
    display.close();
  }
}

/** Resolves when the pipeline is done, whatever that was, and the server has closed. */
async function ended(
  pipeline: Follower,
  server: { close(): Promise<void> },
  { stop, log, display }: { stop: AbortController; log: Logger; display: Display },
): Promise<Served> {
  try {
    await pipeline.run(stop.signal);
    if (stop.signal.aborted) return { exitCode: EXIT.done, forced: false };
    display.say('The pipeline has ended by itself.');
    return { exitCode: EXIT.failure, forced: false };
  } catch (error) {
    log.fatal({ err: error }, 'a fault in pgfollow itself; please report it');
    return { exitCode: EXIT.failure, forced: true };
  } finally {
    await server.close();
  }
}

/** The first signal stops; the second, or too long a stop, forces. */
function untilForced(
  io: Io,
  display: Display,
  stop: AbortController,
  withinMs: number,
): { forced: Promise<Served>; end(): void } {
  let end = (): void => {};
  const forced = new Promise<Served>((resolve) => {
    let timer: NodeJS.Timeout | undefined;
    const unsubscribe = io.onSignal((name) => {
      if (stop.signal.aborted) {
        display.say('Stopped at once. The target is as the last commit left it.');
        resolve({ exitCode: EXIT.failure, forced: true });
        return;
      }
      display.say(`Stopping (${name}). Once more stops at once.`);
      timer = setTimeout(() => {
        display.say(
          `Did not stop within ${withinMs / 1000} s, so it ends here. The target is as the last commit left it; nothing is lost.`,
        );
        resolve({ exitCode: EXIT.failure, forced: true });
      }, withinMs);
      stop.abort();
    });
    end = () => {
      clearTimeout(timer);
      unsubscribe();
    };
  });
  return { forced, end: () => end() };
}

/** Keeps the display fresh, and logs a line now and then while a long copy runs. */
function watch(
  pipeline: Follower,
  { display, log, onStreaming }: { display: Display; log: Logger; onStreaming?: () => void },
): { end(): void } {
  let streamed = false;
  const milestones = new Milestones(performance.now());
  const look = (): void => {
    const status = pipeline.model.status();
    display.update(status, pipeline.model.tables());
    if (status.state === 'streaming' && !streamed) {
      streamed = true;
      onStreaming?.();
    }
    const busy = status.state === 'copying' || status.state === 'catching_up';
    if (busy && milestones.due(performance.now(), status.copy?.share ?? null)) {
      const { state, copy, lag } = status;
      const said = copy === null ? status.summary : `${status.summary} ${describeCopy(copy)}.`;
      log.info({ state, tables: status.tables, copy, lag }, said);
    }
  };
  look();
  const timer = setInterval(look, display.showsEvents ? REFRESH_MS : LOG_LOOK_MS);
  return { end: () => clearInterval(timer) };
}

async function listenOn(listen: Assembled['listen'], { config, otherPort }: ServeOptions, display: Display) {
  for (let tried = 0; ; tried++) {
    const port = config.http.port + tried;
    try {
      const server = await listen({ ...config.http, port });
      if (tried > 0) display.say(`Port ${config.http.port} is in use, so this one is on ${port}.`);
      return server;
    } catch (error) {
      if (!isPortInUse(error)) throw error;
      if (otherPort && tried < PORTS_TRIED && port < 65_535) continue;
      throw new Failure(`port ${port} on ${config.http.host} is in use by another process.`, {
        remedy:
          'Is pgfollow running already? `pgfollow status` tells. Otherwise choose another port: --http-port or PGFOLLOW_HTTP_PORT.',
        cause: error,
      });
    }
  }
}

/** Whatever wraps it, the system's own error is at the bottom. */
function isPortInUse(error: unknown): boolean {
  for (let cause = error; cause instanceof Error; cause = cause.cause) {
    if ('code' in cause && cause.code === 'EADDRINUSE') return true;
  }
  return false;
}

function displayFor({ io, noColor }: ServeOptions): Display {
  if (!io.stdout.isTTY || io.env['TERM'] === 'dumb') return plainDisplay(io);
  return terminalDisplay(io.stdout, wantsColor(io.stdout, io.env, noColor));
}

/** A terminal shows events, which say the same in sentences; log lines only where somebody asked for another level. */
function logLevel({ log }: Config, display: Display): Config['log']['level'] {
  return display.showsEvents && log.level === 'info' ? 'fatal' : log.level;
}
