import type { Command } from './command.ts';
import { Failure } from './failure.ts';

const JSON_OPTION = { json: { type: 'boolean', help: 'as JSON' } } as const;

/** Commands of the contract that this version does not have: what cannot be done, and what can be done instead. */
const ALTERNATIVES = {
  doctor: {
    usage: 'doctor [--json]',
    cannot: 'This version cannot check source and target without running.',
    instead:
      '`pgfollow config` checks the configuration. `pgfollow run` checks both databases before it changes them; `pgfollow status` lists what it found, each with what mends it.',
  },
  add: {
    usage: 'add SCHEMA.TABLE',
    cannot: 'This version cannot add a table to a running pipeline by command.',
    instead:
      'A new table that matches tables.include is taken up within seconds. For others add a pattern to tables.include and restart `pgfollow run`: only the new tables are copied.',
  },
  remove: {
    usage: 'remove SCHEMA.TABLE',
    cannot: 'This version cannot remove a table from a running pipeline by command.',
    instead: 'Name it in tables.exclude and restart `pgfollow run`. Its rows stay on the target.',
  },
  resync: {
    usage: 'resync SCHEMA.TABLE',
    cannot: 'This version cannot copy one table again while the others go on.',
    instead:
      'Name it in tables.exclude and restart `pgfollow run`, then take it out of there, empty it on the target and restart again: a table that comes back is copied.',
  },
  retry: {
    usage: 'retry SCHEMA.TABLE',
    cannot: 'This version cannot be told to try a table again at once.',
    instead:
      'A table in error is tried again by itself, after 1 s to 1 min. Mend what `pgfollow tables` shows for it and wait that long.',
  },
} as const;

/** A command that only says what to do in its place, and fails. */
export function notYet(name: keyof typeof ALTERNATIVES): Command {
  const { usage, cannot, instead } = ALTERNATIVES[name];
  return {
    usage,
    options: name === 'doctor' ? JSON_OPTION : {},
    notes: `${cannot}\n${instead}`,
    async run() {
      throw new Failure(cannot, { remedy: instead });
    },
  };
}
