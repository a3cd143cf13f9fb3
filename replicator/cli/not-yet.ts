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
} as const;

/** A command that only says what to do in its place, and fails. */
export function notYet(name: keyof typeof ALTERNATIVES): Command {
  const { usage, cannot, instead } = ALTERNATIVES[name];
  return {
    usage,
    options: JSON_OPTION,
    notes: `${cannot}\n${instead}`,
    async run() {
      throw new Failure(cannot, { remedy: instead });
    },
  };
}
