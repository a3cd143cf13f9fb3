import type { Status, TableStatus } from '../observe/status.ts';
import { Unreachable, type ApiClient } from './api.ts';
import { interruption, sleep, untilQuit, type Io } from './io.ts';
import { FullScreen } from './screen.ts';
import { renderTop, type TopSample } from './top-view.ts';

const EVERY_MS = 1000;

/**
 * The whole terminal, anew every second, until q or a signal; what stood there before comes back. The first answer has
 * to come; while later ones fail, the last one stays, greyed, with how old it is.
 */
export async function watchScreen(api: ApiClient, io: Io, color: boolean): Promise<void> {
  let sample = await read(api);
  let before: TopSample | null = null;
  using interrupted = untilQuit(io);
  using screen = new FullScreen(io.stdout);
  let stale: string | null = null;
  while (!interrupted.signal.aborted) {
    const { columns, rows = 24 } = io.stdout;
    screen.draw(renderTop(sample, before, { color, now: Date.now(), columns, rows, stale }));
    await sleep(EVERY_MS, interrupted.signal);
    if (interrupted.signal.aborted) break;
    try {
      const next = await read(api, interrupted.signal);
      before = sample;
      sample = next;
      stale = null;
    } catch (error) {
      if (!(error instanceof Unreachable)) throw error;
      const seconds = Math.round((performance.now() - sample.at) / 1000);
      stale = `No answer for ${seconds} s; it is asked again every second. ${error.message}`;
    }
  }
}

/** One sample after the other as text, for what is no terminal. */
export async function watchLines(api: ApiClient, io: Io, show: (status: Status) => string): Promise<void> {
  using interrupted = interruption(io);
  let text = show(await api.get<Status>('/api/v1/status'));
  while (!interrupted.signal.aborted) {
    io.stdout.write(text);
    await sleep(EVERY_MS, interrupted.signal);
    if (interrupted.signal.aborted) break;
    text = await api.get<Status>('/api/v1/status', interrupted.signal).then(show, (error: unknown) => {
      if (!(error instanceof Unreachable)) throw error;
      io.stderr.write(`${error.message}\n`);
      return '';
    });
  }
}

async function read(api: ApiClient, signal?: AbortSignal): Promise<TopSample> {
  const [status, { tables }] = await Promise.all([
    api.get<Status>('/api/v1/status', signal),
    api.get<{ tables: TableStatus[] }>('/api/v1/tables', signal),
  ]);
  return { status, tables, at: performance.now() };
}
