import type { Validations } from '../observe/validation.ts';
import { apiClient, Unreachable, type ApiClient } from './api.ts';
import { API_OPTIONS, textOf, type Arguments } from './args.ts';
import type { Command } from './command.ts';
import { EXIT, Failure, UsageError } from './failure.ts';
import { interruption, sleep, type Io } from './io.ts';
import { LiveLines } from './screen.ts';
import { printable, wantsColor } from './style.ts';
import { renderRunning, renderValidated, verdictOf } from './validate-view.ts';

const PATH = '/api/v1/validations';
const POLL_MS = 250;
/** So long may pgfollow itself be away before we say so. */
const PATIENCE_MS = 10_000;

export const validateCommand: Command = {
  usage: 'validate [SCHEMA.TABLE …] [--timeout SECONDS] [--json] [OPTIONS]',
  options: {
    timeout: {
      type: 'string',
      takes: 'SECONDS',
      help: 'wait no longer, exit code 4; the comparison goes on (default: as long as it takes)',
    },
    cancel: { type: 'boolean', help: 'end the comparison that is under way, whoever began it' },
    json: { type: 'boolean', help: 'as GET /api/v1/validations gives it, at the end' },
    ...API_OPTIONS,
  },
  notes:
    'Compares the rows of both sides while they are written to: without locks, without a pause, and a row that is said to differ does.\n' +
    'All tables that stream, where none are named. It shows keys, never values. Ctrl-C ends it.\n' +
    'Exit code 0: no row differs; 1: some differ, or a table could not be compared; 4: timeout.',
  examples: [
    ['pgfollow validate', 'every table that streams'],
    ['pgfollow validate public.orders --json', ''],
  ],
  async run(args, io) {
    const timeoutMs = readTimeout(args);
    const wrong = args.positionals.find((table) => !/^[^.]+\.[^.]+$/.test(table));
    if (wrong !== undefined)
      throw new UsageError(`validate: ${printable(wrong)} is no table: give SCHEMA.TABLE, by its name on the source`, 'validate');
    const { api } = await apiClient('validate', args, io);
    if (args.values['cancel']) {
      await api.delete(PATH);
      io.stderr.write('The comparison ends.\n');
      return EXIT.done;
    }
    await api.post(PATH, args.positionals.length > 0 ? { tables: args.positionals } : {});
    const outcome = await follow(api, args, io, timeoutMs);
    if (args.values['json']) io.stdout.write(`${JSON.stringify(outcome, null, 2)}\n`);
    return verdictOf(outcome.tables) === 'equal' ? EXIT.done : EXIT.failure;
  },
};

/** Shows tables as they are done, until all are. */
async function follow(api: ApiClient, args: Arguments, io: Io, timeoutMs: number): Promise<Validations> {
  using interrupted = interruption(io);
  const deadline = performance.now() + timeoutMs;
  const color = wantsColor(io.stdout, io.env, Boolean(args.values['no-color']));
  const live = io.stderr.isTTY ? new LiveLines(io.stderr) : null;
  const told = new Set<string>();
  let startedAt: string | null = null;
  for (let answeredAt = performance.now(); ;) {
    const run: Validations | null = await api.get<Validations>(PATH).catch((error: unknown) => {
      if (error instanceof Unreachable && performance.now() - answeredAt < PATIENCE_MS) return null;
      throw error;
    });
    if (run) {
      answeredAt = performance.now();
      startedAt ??= run.startedAt;
      if (run.startedAt !== startedAt) throw ended();
      live?.clear();
      for (const found of run.tables) {
        if (found.finishedAt === null || told.has(found.table)) continue;
        told.add(found.table);
        if (!args.values['json']) io.stdout.write(`${renderValidated(found, color)}\n`);
      }
      if (!run.running) return run;
      live?.draw(renderRunning(run.tables));
    }
    if (interrupted.signal.aborted) {
      await api.delete(PATH);
      throw new Failure('the comparison was ended.', { remedy: 'What it had shown before holds.' });
    }
    if (performance.now() + POLL_MS > deadline) {
      live?.clear();
      throw new Failure(`not all tables are compared after ${timeoutMs / 1000} s.`, {
        remedy:
          'The comparison goes on: `pgfollow tables --json` and GET /api/v1/validations show what it finds, `pgfollow validate --cancel` ends it.',
        exitCode: EXIT.timeout,
      });
    }
    await sleep(POLL_MS, interrupted.signal);
  }
}

function ended(): Failure {
  return new Failure('pgfollow was started again, which ended the comparison, or somebody began another.', {
    remedy: 'Run `pgfollow validate` again.',
  });
}

function readTimeout(args: Arguments): number {
  const text = textOf(args, 'timeout');
  if (text === undefined) return Infinity;
  if (!/^\d{1,9}(\.\d+)?$/.test(text))
    throw new UsageError(`validate: --timeout ${printable(text)} is no number of seconds`, 'validate');
  return Number(text) * 1000;
}
