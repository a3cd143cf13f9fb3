import { apiClient, type ApiClient } from './api.ts';
import { API_OPTIONS, JSON_OPTION } from './args.ts';
import type { Command, Example } from './command.ts';
import { EXIT, UsageError } from './failure.ts';
import type { Io } from './io.ts';
import { planView } from './plan-view.ts';
import { printable } from './style.ts';
import type { TablePlan } from '../table-plan.ts';

const DRY_RUN_OPTION = {
  'dry-run': { type: 'boolean', short: 'n', help: 'only say what would happen; exit code 1 where something stands in the way' },
} as const;

export const addCommand = tableCommand('add', {
  ask: (api, table) => api.post('/api/v1/tables', { table }),
  plan: (api, table) => api.post('/api/v1/tables?dryRun=true', { table }),
  done: (table) => `${table} is going to be followed. \`pgfollow tables\` shows how far it is.`,
  notes:
    'The table is copied while the others go on, then follows with them. What was added stays added over restarts, whatever\n' +
    'tables.include says.',
  examples: [
    ['pgfollow add public.orders', 'by its name on the source'],
    ['pgfollow add public.orders --dry-run', 'what would happen: rows, bytes, what is created, what stands in the way'],
  ],
});

export const removeCommand = tableCommand('remove', {
  ask: (api, table) => api.delete(path(table)),
  done: (table) => `${table} is no longer followed; its rows on the target stay.`,
  notes: 'What was removed stays removed over restarts, whatever tables.include says; `pgfollow add` takes it up again.',
  examples: [['pgfollow remove public.audit_log', '']],
});

export const resyncCommand = tableCommand('resync', {
  ask: (api, table) => api.post(`${path(table)}/resync`),
  plan: (api, table) => api.post(`${path(table)}/resync?dryRun=true`),
  done: (table) => `${table} is going to be copied again. \`pgfollow tables\` shows how far it is.`,
  notes:
    'The rows are copied beside the table, then one transaction changes what differs. Readers of the target see the old rows\n' +
    'until then, and the other tables go on. The target needs room for the rows once more meanwhile.',
  examples: [
    ['pgfollow resync public.orders', ''],
    ['pgfollow resync public.orders --dry-run', 'what would happen, and how much is read'],
  ],
});

export const retryCommand = tableCommand('retry', {
  ask: (api, table) => api.post(`${path(table)}/retry`),
  done: (table) => `${table} is tried again now. \`pgfollow tables\` shows what becomes of it.`,
  notes:
    'A table in error is tried again by itself, with pauses of up to a minute. This does it at once. Of a table that\npgfollow has created, it also tries once more what the target has refused: an index, a constraint.',
  examples: [['pgfollow retry public.orders', 'after what `pgfollow tables` names was mended']],
});

interface TableCommand {
  readonly ask: (api: ApiClient, table: string) => Promise<unknown>;
  readonly done: (table: string) => string;
  /** What it would come down to, where that can be told beforehand. */
  readonly plan?: (api: ApiClient, table: string) => Promise<unknown>;
  readonly notes: string;
  readonly examples: readonly Example[];
}

function tableCommand(name: string, { ask, done, plan, notes, examples }: TableCommand): Command {
  return {
    usage: `${name} SCHEMA.TABLE${plan ? ' [--dry-run]' : ''} [--json] [OPTIONS]`,
    options: { ...(plan ? DRY_RUN_OPTION : {}), ...JSON_OPTION, ...API_OPTIONS },
    notes,
    examples,
    async run(args, io) {
      const [table, ...more] = args.positionals;
      if (table === undefined || more.length > 0 || !/^[^.]+\.[^.]+$/.test(table))
        throw new UsageError(`${name}: give one table as SCHEMA.TABLE, by its name on the source`, name);
      const { api } = await apiClient(name, args, io);
      if (plan && args.values['dry-run'])
        return tellPlan((await plan(api, table)) as TablePlan, Boolean(args.values['json']), io);
      const answer = await ask(api, table);
      if (args.values['json']) io.stdout.write(`${JSON.stringify(answer)}\n`);
      else io.stderr.write(`${[done(table), ...notesOf(answer)].join('\n')}\n`);
      return EXIT.done;
    },
  };
}

// Whether it would work is in the exit code too.
function tellPlan(plan: TablePlan, asJson: boolean, io: Io): number {
  io.stdout.write(asJson ? `${JSON.stringify(plan)}\n` : planView(plan));
  return plan.possible ? EXIT.done : EXIT.failure;
}

// What it waits for; an older pgfollow does not say.
function notesOf(answer: unknown): string[] {
  const { note } = (answer ?? {}) as { note?: string | null };
  return note ? [printable(note)] : [];
}

function path(table: string): string {
  return `/api/v1/tables/${table.split('.').map(encodeURIComponent).join('/')}`;
}
