import { unreachable } from '../problem.ts';
import type { LagReading } from './lag.ts';
import type { Status } from './status.ts';

/** What a sentence about the pipeline is made of. `detail`: what the current state is about, if the pipeline said. */
export interface SummaryInput {
  readonly state: Status['state'];
  readonly detail: string | null;
  readonly lag: LagReading;
  readonly sourceDatabase: string | null;
  readonly targetDatabase: string | null;
  readonly tables: Status['tables'];
  readonly firstProblem: string | null;
}

/** One plain sentence or two for people: `Streaming. pg_y is 0.2 s behind pg_x.` */
export function summarize(input: SummaryInput): string {
  const { detail, tables } = input;
  const error = tables.error === 0 ? '' : ` ${count(tables.error, 'table')} in error.`;
  switch (input.state) {
    case 'starting':
      return `${sentence('Starting', detail)}${error}`;
    case 'copying': {
      const done = tables.catching_up + tables.streaming;
      return `${sentence('Copying', detail)} ${done} of ${count(tables.total, 'table')} copied.${error}`;
    }
    case 'catching_up':
      return `${sentence('Catching up', detail)}${behind(input)}${error}`;
    case 'streaming':
      return `${sentence('Streaming', detail)}${behind(input)}${error}`;
    case 'paused':
      return `${sentence('Paused', detail)}${behind(input)} The source keeps what is needed to resume.${error}`;
    case 'retrying':
      return `${sentence('Retrying', detail ?? input.firstProblem)}${behind(input)}${error}`;
    case 'failed':
      return `${sentence('Stopped', detail ?? input.firstProblem)}${error}`;
    default:
      return unreachable(input.state);
  }
}

/** 0.2 -> `0.2 s`, 75 -> `1 min 15 s`, 7300 -> `2 h 1 min`. */
export function formatSeconds(seconds: number): string {
  if (seconds < 0.1) return `${Math.round(seconds * 1000)} ms`;
  if (seconds < 9.95) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return pair(Math.floor(whole / 60), 'min', whole % 60, 's');
  if (whole < 86_400) return pair(Math.floor(whole / 3600), 'h', Math.floor((whole % 3600) / 60), 'min');
  return pair(Math.floor(whole / 86_400), 'd', Math.floor((whole % 86_400) / 3600), 'h');
}

function pair(big: number, bigUnit: string, small: number, smallUnit: string): string {
  return small === 0 ? `${big} ${bigUnit}` : `${big} ${bigUnit} ${small} ${smallUnit}`;
}

function behind(input: SummaryInput): string {
  if (input.lag.seconds === null) return '';
  const { sourceDatabase: from, targetDatabase: to } = input;
  const named = from !== null && to !== null && from !== to;
  const lag = `${input.lag.atLeast ? 'at least ' : ''}${formatSeconds(input.lag.seconds)}`;
  return ` ${named ? to : 'The target'} is ${lag} behind ${named ? from : 'the source'}.`;
}

function sentence(head: string, detail: string | null): string {
  if (!detail) return `${head}.`;
  return `${head}: ${/[.!?]$/.test(detail) ? detail : `${detail}.`}`;
}

function count(n: number, noun: string): string {
  return `${n} ${noun}${n === 1 ? '' : 's'}`;
}
