import { API_OPTIONS } from './args.ts';
import { apiClient, type ApiClient } from './api.ts';
import type { Command } from './command.ts';
import { EXIT, UsageError } from './failure.ts';

export const addCommand = tableCommand('add', {
  ask: (api, table) => api.post('/api/v1/tables', { table }),
  done: (table) => `${table} is going to be followed. \`pgfollow tables\` shows how far it is.`,
});

export const removeCommand = tableCommand('remove', {
  ask: (api, table) => api.delete(path(table)),
  done: (table) => `${table} is no longer followed; its rows on the target stay.`,
});

export const resyncCommand = tableCommand('resync', {
  ask: (api, table) => api.post(`${path(table)}/resync`),
  done: (table) => `${table} is going to be copied again. \`pgfollow tables\` shows how far it is.`,
});

export const retryCommand = tableCommand('retry', {
  ask: (api, table) => api.post(`${path(table)}/retry`),
  done: (table) => `${table} is tried again now. \`pgfollow tables\` shows what becomes of it.`,
});

interface TableCommand {
  readonly ask: (api: ApiClient, table: string) => Promise<void>;
  readonly done: (table: string) => string;
}

function tableCommand(name: string, { ask, done }: TableCommand): Command {
  return {
    usage: `${name} SCHEMA.TABLE [OPTIONS]`,
    options: API_OPTIONS,
    async run(args, io) {
      const [table, ...more] = args.positionals;
      if (table === undefined || more.length > 0 || !/^[^.]+\.[^.]+$/.test(table))
        throw new UsageError(`${name}: give one table as SCHEMA.TABLE, by its name on the source`, name);
      const { api } = apiClient(name, args, io);
      await ask(api, table);
      io.stderr.write(`${done(table)}\n`);
      return EXIT.done;
    },
  };
}

function path(table: string): string {
  return `/api/v1/tables/${table.split('.').map(encodeURIComponent).join('/')}`;
}
