import type { Status } from '../observe/status.ts';
import { apiClient, Unreachable, type ApiClient } from './api.ts';
import { API_OPTIONS, refusePositionals, type Arguments } from './args.ts';
import type { Command } from './command.ts';
import { EXIT } from './failure.ts';
import { interruption, sleep, type Io } from './io.ts';
import { FullScreen } from './screen.ts';
import { renderStatus } from './status-view.ts';
import { wantsColor } from './style.ts';

const PATH = '/api/v1/status';
const EVERY_MS = 1000;

export const statusCommand: Command = {
  usage: 'status [--json] [--watch] [OPTIONS]',
  options: {
    json: { type: 'boolean', help: 'the answer of GET /api/v1/status as it is' },
    watch: { type: 'boolean', short: 'w', help: 'again every second, until Ctrl-C' },
    ...API_OPTIONS,
  },
  notes: 'Asks a pgfollow that runs, over HTTP: http.host and http.port of the configuration, or --url.',
  examples: [
    ['pgfollow status', ''],
    ['pgfollow status --watch', 'a screen that stays; q ends it'],
    ['pgfollow status --json | jq .lag.seconds', ''],
  ],
  async run(args, io) {
    refusePositionals('status', args);
    const { api } = await apiClient('status', args, io);
    const render = renderer(args, io);
    if (args.values['watch']) return watch(api, render, args, io);
    io.stdout.write(`${render(await api.get<Status>(PATH))}\n`);
    return EXIT.done;
  },
};

function renderer(args: Arguments, io: Io): (status: Status) => string {
  // A line a sample, so that a reader of --watch --json knows where one ends.
  if (args.values['json']) return (status) => JSON.stringify(status, null, args.values['watch'] ? 0 : 2);
  const color = wantsColor(io.stdout, io.env, Boolean(args.values['no-color']));
  return (status) => renderStatus(status, { color, now: Date.now(), columns: io.stdout.columns });
}

/** The first answer has to come; later ones may fail while pgfollow restarts. */
async function watch(api: ApiClient, render: (status: Status) => string, args: Arguments, io: Io): Promise<number> {
  let text = render(await api.get<Status>(PATH));
  using interrupted = interruption(io);
  using screen = io.stdout.isTTY && !args.values['json'] ? new FullScreen(io.stdout) : null;
  while (!interrupted.signal.aborted) {
    if (screen) screen.draw(text);
    else io.stdout.write(`${text}\n${args.values['json'] ? '' : '\n'}`);
    await sleep(EVERY_MS, interrupted.signal);
    if (interrupted.signal.aborted) break;
    text = await api.get<Status>(PATH, interrupted.signal).then(render, (error: unknown) => {
      if (error instanceof Unreachable) return error.message;
      throw error;
    });
  }
  return EXIT.done;
}
