import type { Status, TableStatus } from '../observe/status.ts';
import { apiClient } from './api.ts';
import { API_OPTIONS, refusePositionals } from './args.ts';
import type { Command } from './command.ts';
import { EXIT } from './failure.ts';
import { renderTables } from './tables-view.ts';
import { wantsColor } from './style.ts';

export const tablesCommand: Command = {
  usage: 'tables [--json] [OPTIONS]',
  options: { json: { type: 'boolean', help: 'the answer of GET /api/v1/tables as it is' }, ...API_OPTIONS },
  notes: 'Columns: table, state, rows copied, changes applied, lag, and what is wrong. A heading is shown on a terminal only.',
  examples: [
    ['pgfollow tables', ''],
    ['pgfollow tables | grep " error "', 'tables that stand aside, and why'],
  ],
  async run(args, io) {
    refusePositionals('tables', args);
    const { api } = await apiClient('tables', args, io);
    if (args.values['json']) {
      const answer = await api.get<{ tables: TableStatus[] }>('/api/v1/tables');
      io.stdout.write(`${JSON.stringify(answer, null, 2)}\n`);
      return EXIT.done;
    }
    const [{ tables }, status] = await Promise.all([
      api.get<{ tables: TableStatus[] }>('/api/v1/tables'),
      api.get<Status>('/api/v1/status'),
    ]);
    const color = wantsColor(io.stdout, io.env, Boolean(args.values['no-color']));
    const lines = renderTables(tables, { lagSeconds: status.lag.seconds, heading: Boolean(io.stdout.isTTY), color });
    io.stdout.write(lines.map((line) => `${line}\n`).join(''));
    if (tables.length === 0) io.stderr.write('No tables yet.\n');
    return EXIT.done;
  },
};
