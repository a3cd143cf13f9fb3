import type { Arguments, Options } from './args.ts';
import type { Io } from './io.ts';

/** One command: what it takes, and what it does. */
export interface Command {
  /** After `pgfollow `, in the help. */
  readonly usage: string;
  readonly options: Options;
  /** More to say in `--help`, in plain lines. */
  readonly notes: string;
  readonly examples: readonly Example[];
  /** Gives the exit code; throws Failure or Problem with a reason. */
  run(args: Arguments, io: Io): Promise<number>;
}

/** A command line, and what it is for (may be empty). */
export type Example = readonly [line: string, says: string];

export interface CommandEntry {
  /** One line, for the list of commands. */
  readonly summary: string;
  readonly hidden?: true;
  /** Loaded only when it is used, so that help and errors come at once. */
  load(): Promise<Command>;
}

export const COMMANDS: Readonly<Record<string, CommandEntry>> = {
  run: {
    summary: 'follow: copy what is there, then stream, until SIGTERM or SIGINT',
    load: async () => (await import('./run.ts')).runCommand,
  },
  demo: {
    summary: 'two embedded PostgreSQL servers with data and traffic, and the pipeline between them',
    load: async () => (await import('./demo-run.ts')).demoCommand,
  },
  doctor: {
    summary: 'check source, target, network and configuration, without changing anything',
    load: async () => (await import('./doctor.ts')).doctorCommand,
  },
  status: {
    summary: 'one screen: state, lag, position, slot, tables, problems',
    load: async () => (await import('./status.ts')).statusCommand,
  },
  tables: {
    summary: 'one line a table: state, rows copied, changes applied, lag, error',
    load: async () => (await import('./tables.ts')).tablesCommand,
  },
  events: {
    summary: 'what happened, newest last',
    load: async () => (await import('./events.ts')).eventsCommand,
  },
  wait: {
    summary: 'until everything committed on the source by now is visible on the target',
    load: async () => (await import('./wait.ts')).waitCommand,
  },
  pause: {
    summary: 'stop applying; survives a restart',
    load: async () => (await import('./pause-resume.ts')).pauseCommand,
  },
  resume: {
    summary: 'go on applying',
    load: async () => (await import('./pause-resume.ts')).resumeCommand,
  },
  add: {
    summary: 'follow one more table, while the others go on',
    load: async () => (await import('./table-commands.ts')).addCommand,
  },
  remove: {
    summary: 'follow one table less; its rows on the target stay',
    load: async () => (await import('./table-commands.ts')).removeCommand,
  },
  resync: {
    summary: 'copy one table again, while the others go on',
    load: async () => (await import('./table-commands.ts')).resyncCommand,
  },
  retry: {
    summary: 'try a table in error again, or what the target refuses of it, at once',
    load: async () => (await import('./table-commands.ts')).retryCommand,
  },
  validate: {
    summary: 'compare the rows of both sides, while they are written to',
    load: async () => (await import('./validate.ts')).validateCommand,
  },
  teardown: {
    summary: 'drop slot, publication, event trigger and metadata; target data stays',
    load: async () => (await import('./teardown.ts')).teardownCommand,
  },
  config: {
    summary: 'the effective configuration and where each value came from',
    load: async () => (await import('./config.ts')).configCommand,
  },
  completion: {
    summary: 'a script that completes commands and options, for bash, zsh or fish',
    load: async () => (await import('./completion.ts')).completionCommand,
  },
  version: {
    summary: 'the version, with that of Node.js',
    load: async () => (await import('./version-command.ts')).versionCommand,
  },
  start: {
    summary: 'run where a configuration is found, demo otherwise; this is what npm start calls',
    hidden: true,
    load: async () => (await import('./start.ts')).startCommand,
  },
};
