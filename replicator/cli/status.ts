import type { Status } from '../observe/status.ts';
import { apiClient } from './api.ts';
import { API_OPTIONS, refusePositionals, type Arguments } from './args.ts';
import type { Command } from './command.ts';
import { EXIT } from './failure.ts';
import type { Io } from './io.ts';
import { renderStatus } from './status-view.ts';
import { wantsColor } from './style.ts';
import { watchLines, watchScreen } from './watch.ts';

const PATH = '/api/v1/status';

export const statusCommand: Command = {
  usage: 'status [--json] [--watch] [OPTIONS]',
  options: {
    json: { type: 'boolean', help: 'the answer of GET /api/v1/status as it is' },
    watch: {
      type: 'boolean',
      short: 'w',
      help: 'a screen of it with the tables, anew every second, until q or Ctrl-C; without a terminal one after the other',
    },
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
    if (!args.values['watch']) io.stdout.write(`${render(await api.get<Status>(PATH))}\n`);
    else if (args.values['json']) await watchLines(api, io, (status) => `${render(status)}\n`);
    else if (io.stdout.isTTY && io.env['TERM'] !== 'dumb') await watchScreen(api, io, colorOf(args, io));
    else await watchLines(api, io, (status) => `${render(status)}\n\n`);
    return EXIT.done;
  },
};

function renderer(args: Arguments, io: Io): (status: Status) => string {
  // A line a sample, so that a reader of --watch --json knows where one ends.
  if (args.values['json']) return (status) => JSON.stringify(status, null, args.values['watch'] ? 0 : 2);
  const color = colorOf(args, io);
  return (status) => renderStatus(status, { color, now: Date.now(), columns: io.stdout.columns });
}

function colorOf(args: Arguments, io: Io): boolean {
  return wantsColor(io.stdout, io.env, Boolean(args.values['no-color']));
}
