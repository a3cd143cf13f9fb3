import { loadConfig, type LoadedConfig } from '../config/load.ts';
import { addressOf } from './api.ts';
import { CONFIG_OPTIONS, refusePositionals, textOf, type Arguments, type Options } from './args.ts';
import type { Command } from './command.ts';
import { startTraffic } from './demo-traffic.ts';
import { startDemoServers, type DemoServers } from './demo.ts';
import { EXIT } from './failure.ts';
import { interruption, type Io } from './io.ts';
import { serve } from './serve.ts';

/** Settings that make sense when the databases are given; all others of the environment are not looked at. */
const FLAGS = ['name', 'http-host', 'http-port', 'api-token', 'http-insecure', 'log-level', 'set'];
const ENVIRONMENT = /^PGFOLLOW_(NAME|HTTP_HOST|HTTP_PORT|HTTP_INSECURE|API_TOKEN|API_TOKEN_FILE|LOG_LEVEL)$/;

const options: Options = {
  keep: { type: 'string', takes: 'DIR', help: 'keep both servers in this folder, and find them there the next time' },
  ...Object.fromEntries(Object.entries(CONFIG_OPTIONS).filter(([name]) => FLAGS.includes(name))),
};

export const demoCommand: Command = {
  usage: 'demo [--keep DIR] [OPTIONS]',
  options,
  notes: 'Needs nothing but this package: no PostgreSQL, no configuration. Everything is removed at the end, unless --keep.',
  examples: [
    ['pgfollow demo', 'ends and removes everything on Ctrl-C'],
    ['pgfollow demo --keep ./demo', 'both servers stay in ./demo'],
  ],
  async run(args, io) {
    refusePositionals('demo', args);
    // Before half a minute of work: what is wrong with the command line.
    demoConfig(args, io, { sourceUrl: 'postgresql://pg_x/app', targetUrl: 'postgresql://pg_y/app' });
    const servers = await startServers(args, io);
    if (servers === null) return EXIT.done;
    let traffic: ReturnType<typeof startTraffic> | null = null;
    let forced = false;
    try {
      const { config, origins } = demoConfig(args, io, servers);
      const { assemble } = await import('./assemble.ts');
      const served = await serve({
        config,
        io,
        assemble,
        noColor: Boolean(args.values['no-color']),
        otherPort: origins.get('http.port') === 'default',
        onListening: (http, say) => say(welcome(addressOf(http), servers, textOf(args, 'keep') ?? null)),
        onStreaming: () => {
          traffic = startTraffic(servers.sourceUrl);
        },
      });
      forced = served.forced;
      return served.exitCode;
    } finally {
      // A process that ends at once takes its servers along; there is nothing to wait for.
      if (!forced) await unlessInterrupted(io, stopAll(traffic, servers));
    }
  },
};

/** Null when somebody pressed Ctrl-C before they were ready. */
async function startServers(args: Arguments, io: Io): Promise<DemoServers | null> {
  using interrupted = interruption(io);
  try {
    const servers = await startDemoServers({
      keepDir: textOf(args, 'keep') ?? null,
      log: (line) => void io.stderr.write(`${line}\n`),
      signal: interrupted.signal,
    });
    if (!interrupted.signal.aborted) return servers;
    await servers.stop();
    return null;
  } catch (error) {
    if (interrupted.signal.aborted) return null;
    throw error;
  }
}

/** Waits for the end, or for one more signal from somebody who does not want to. */
async function unlessInterrupted(io: Io, end: Promise<void>): Promise<void> {
  using interrupted = interruption(io);
  const signalled = new Promise<void>((resolve) => {
    interrupted.signal.addEventListener('abort', () => resolve());
  });
  await Promise.race([end, signalled]);
}

/** Traffic first: it would only complain about a server that is gone. */
async function stopAll(traffic: { stop(): Promise<void> } | null, servers: DemoServers): Promise<void> {
  await traffic?.stop();
  await servers.stop();
}

function demoConfig(args: Arguments, io: Io, { sourceUrl, targetUrl }: { sourceUrl: string; targetUrl: string }): LoadedConfig {
  const { set } = args.values;
  return loadConfig({
    flags: {
      ...args.values,
      'source-url': sourceUrl,
      'target-url': targetUrl,
      tables: 'public.*,shop.*',
      set: ['tables.map=[{from: public.tb_trx_src, to: public.tb_trx_dest}]', ...(Array.isArray(set) ? (set as string[]) : [])],
    },
    env: Object.fromEntries(Object.entries(io.env).filter(([name]) => ENVIRONMENT.test(name))),
    cwd: null,
  });
}

function welcome(page: string, { sourceUrl, targetUrl }: DemoServers, keepDir: string | null): string {
  const lines = [
    `Status page   ${page}`,
    `Source, pg_x  ${sourceUrl}`,
    `Target, pg_y  ${targetUrl}`,
    '',
    `Write to pg_x and look at pg_y. Ctrl-C ends it${keepDir === null ? ' and removes everything' : `; both stay in ${keepDir}`}.`,
  ];
  const width = Math.max(...lines.map(({ length }) => length));
  const edge = '─'.repeat(width + 4);
  return [`┌${edge}┐`, ...lines.map((line) => `│  ${line.padEnd(width)}  │`), `└${edge}┘`].join('\n');
}
