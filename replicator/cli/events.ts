import type { PipelineEvent } from '../observe/status.ts';
import { apiClient, Unreachable } from './api.ts';
import { API_OPTIONS, JSON_OPTION, refusePositionals, textOf, type Arguments } from './args.ts';
import type { Command } from './command.ts';
import { EXIT, UsageError } from './failure.ts';
import { interruption, sleep, type Io } from './io.ts';
import { printable, style, wantsColor } from './style.ts';

const EVERY_MS = 1000;

export const eventsCommand: Command = {
  usage: 'events [--level LEVEL] [--after ID] [--follow] [--json] [OPTIONS]',
  options: {
    level: { type: 'string', takes: 'LEVEL', help: 'only events of at least this level: info, warn or error' },
    after: { type: 'string', takes: 'ID', help: 'only events with a greater id' },
    follow: { type: 'boolean', short: 'f', help: 'go on with what happens, until Ctrl-C; --json is then a line an event' },
    ...JSON_OPTION,
    ...API_OPTIONS,
  },
  notes: 'What happened, newest last: time in UTC, level, code, table, and what to do about it. The last thousand are kept.',
  examples: [
    ['pgfollow events --follow', ''],
    ['pgfollow events --level error', 'what went wrong'],
  ],
  async run(args, io) {
    refusePositionals('events', args);
    const after = readId(args);
    const level = readLevel(args);
    const { api } = await apiClient('events', args, io);
    const read = async (id: number, signal?: AbortSignal): Promise<PipelineEvent[]> =>
      (await api.get<{ events: PipelineEvent[] }>(`/api/v1/events?after=${id}${level}`, signal)).events;
    const events = await read(after);
    const follow = Boolean(args.values['follow']);
    const show = printer(args, io);
    if (args.values['json'] && !follow) {
      io.stdout.write(`${JSON.stringify({ events }, null, 2)}\n`);
      return EXIT.done;
    }
    events.forEach(show);
    if (follow) await goOn(read, show, { io, after: events.at(-1)?.id ?? after });
    return EXIT.done;
  },
};

async function goOn(
  read: (id: number, signal: AbortSignal) => Promise<PipelineEvent[]>,
  show: (event: PipelineEvent) => void,
  { io, after }: { io: Io; after: number },
): Promise<void> {
  using interrupted = interruption(io);
  let away = false;
  for (let id = after; !interrupted.signal.aborted; await sleep(EVERY_MS, interrupted.signal)) {
    try {
      const events = await read(id, interrupted.signal);
      events.forEach(show);
      id = events.at(-1)?.id ?? id;
      away = false;
    } catch (error) {
      if (interrupted.signal.aborted) return;
      if (!(error instanceof Unreachable)) throw error;
      if (!away) io.stderr.write(`${error.message} It is tried again every second.\n`);
      away = true;
    }
  }
}

function printer(args: Arguments, io: Io): (event: PipelineEvent) => void {
  if (args.values['json']) return (event) => void io.stdout.write(`${JSON.stringify(event)}\n`);
  const color = wantsColor(io.stdout, io.env, Boolean(args.values['no-color']));
  return (event) => void io.stdout.write(`${renderEvent(event, color)}\n`);
}

/** One line. */
export function renderEvent({ at, level, code, table, message, remedy }: PipelineEvent, color: boolean): string {
  const paint = style(color);
  const word = level.padEnd(5);
  const grade = level === 'error' ? paint.red(word) : level === 'warn' ? paint.yellow(word) : word;
  const about = table === undefined ? '' : `${table}: `;
  const said = `${about}${message}${remedy === undefined ? '' : `  ->  ${remedy}`}`.replaceAll(/\s*\n\s*/g, ' ');
  return `${paint.dim(printable(at.replace('T', ' ').slice(0, 19)))}  ${grade}  ${printable(code)}  ${printable(said)}`;
}

// As it stands in the address; nothing where all of them are meant.
function readLevel(args: Arguments): string {
  const text = textOf(args, 'level');
  if (text === undefined) return '';
  if (!['info', 'warn', 'error'].includes(text))
    throw new UsageError(`events: --level ${printable(text)} is none of info, warn, error`, 'events');
  return `&level=${text}`;
}

function readId(args: Arguments): number {
  const text = textOf(args, 'after') ?? '0';
  if (!/^\d{1,15}$/.test(text)) throw new UsageError(`events: --after ${printable(text)} is no id of an event`, 'events');
  return Number(text);
}
