import type { PipelineEvent, Status, TableStatus } from '../observe/status.ts';
import { FinishedTables } from './copy-view.ts';
import type { Output } from './io.ts';
import { renderProgress } from './progress-view.ts';
import { LiveLines } from './screen.ts';
import { printable, style } from './style.ts';

/** What serve() shows of a pipeline while it runs. */
export interface Display {
  /** Called a few times a second. */
  update(status: Status, tables: readonly TableStatus[]): void;
  event(event: PipelineEvent): void;
  /** A message for the person in front of it. */
  say(text: string): void;
  /** Whether event() shows something, so that the log need not repeat it. */
  readonly showsEvents: boolean;
  /** Where log lines go. */
  readonly logTo: { write(line: string): unknown };
  close(): void;
}

/** On a terminal: the verdict and bars at the bottom, events and messages scrolling past above. */
export function terminalDisplay(output: Output, color: boolean): Display {
  const live = new LiveLines(output);
  const paint = style(color);
  const finished = new FinishedTables();
  let lines: readonly string[] = [];
  const print = (text: string): void => {
    live.print(text);
    live.draw(lines);
  };
  return {
    update(status, tables) {
      for (const line of finished.look(tables)) print(`${clock(new Date().toISOString())} ${line}`);
      const next = renderProgress(status, tables, { color, now: Date.now(), columns: output.columns ?? 80 });
      if (next.join('\n') === lines.join('\n')) return;
      lines = next;
      live.draw(lines);
    },
    event({ at, level, table, message, remedy }) {
      const text = `${clock(at)} ${table === undefined ? '' : `${printable(table)}: `}${printable(message)}`;
      print(
        level === 'info'
          ? text
          : `${level === 'error' ? paint.red(text) : paint.yellow(text)}${remedy === undefined ? '' : `\n         ${printable(remedy)}`}`,
      );
    },
    showsEvents: true,
    say: print,
    logTo: { write: (line) => print(readable(line)) },
    close() {
      // What was last known stays on the screen.
      live.clear();
      for (const line of lines) live.print(line);
      lines = [];
    },
  };
}

/** Into a file or a service's journal: JSON lines on stdout, messages on stderr. */
export function plainDisplay(io: { stdout: Output; stderr: Output }): Display {
  return {
    update() {},
    event() {},
    showsEvents: false,
    say: (text) => void io.stderr.write(`${text}\n`),
    logTo: io.stdout,
    close() {},
  };
}

/** `2026-01-02T03:04:05.678Z` -> local `03:04:05`. */
function clock(at: string): string {
  const time = new Date(at);
  return Number.isNaN(time.getTime()) ? at : time.toTimeString().slice(0, 8);
}

/** A pino line for people. What is no such line is shown as it is. */
function readable(line: string): string {
  try {
    const { time, level, msg, err, stage } = JSON.parse(line) as Record<string, unknown>;
    const cause = typeof err === 'object' && err !== null && 'message' in err ? `: ${String(err.message)}` : '';
    const who = typeof stage === 'string' ? `${stage}: ` : '';
    return printable(`${clock(String(time))} ${String(level)} ${who}${typeof msg === 'string' ? msg : ''}${cause}`);
  } catch {
    return printable(line.trimEnd());
  }
}
