import type { Conflict } from '../apply/run.ts';
import type { EventInput } from '../observe/events.ts';

/** The event log counts repeats on one event for a minute and keeps its newest text, so that one lists the keys of all. */
const FOLDED_MS = 60_000;
/** Keys listed in one event; the counters of the table tell how many there were. */
const KEYS_LISTED = 20;

interface Tally {
  readonly sinceMs: number;
  rows: number;
  keys: string[];
}

/** Rows that were not applied as they were sent, told by table with their keys. */
export class ConflictTally {
  readonly #now: () => number;
  readonly #tallies = new Map<string, Tally>();

  constructor(now: () => number) {
    this.#now = now;
  }

  /** The events that tell of these rows; an event repeats the keys of the last minute, because it takes the place of those. */
  events(conflicts: readonly Conflict[]): EventInput[] {
    const groups = new Map<string, Conflict[]>();
    for (const conflict of conflicts) {
      const group = `${CODES[conflict.kind]} ${conflict.table}`;
      const known = groups.get(group);
      if (known) known.push(conflict);
      else groups.set(group, [conflict]);
    }
    return [...groups].flatMap(([group, members]) => (members[0] ? [this.#event(group, members[0], members)] : []));
  }

  #event(group: string, { table, kind }: Conflict, members: readonly Conflict[]): EventInput {
    const nowMs = this.#now();
    let tally = this.#tallies.get(group);
    if (!tally || nowMs - tally.sinceMs >= FOLDED_MS) this.#tallies.set(group, (tally = { sinceMs: nowMs, rows: 0, keys: [] }));
    tally.rows += members.length;
    for (const member of members.slice(0, KEYS_LISTED - tally.keys.length))
      tally.keys.push(`${OPERATIONS[member.kind]} ${member.key}`);
    const more = tally.rows - tally.keys.length;
    const keys = tally.keys.join('; ') + (more > 0 ? `; and ${more} more` : '');
    return { level: 'warn', table, code: CODES[kind], message: `${SENTENCES[CODES[kind]](tally.rows)}: ${keys}.` };
  }
}

const CODES = { insertExists: 'ROW_EXISTS', updateMissing: 'ROW_MISSING', deleteMissing: 'ROW_MISSING' } as const;
const OPERATIONS = { insertExists: 'INSERT', updateMissing: 'UPDATE', deleteMissing: 'DELETE' } as const;
const SENTENCES = {
  ROW_EXISTS: (rows: number) => (rows === 1 ? 'A row was on the target already' : `${rows} rows were on the target already`),
  ROW_MISSING: (rows: number) =>
    rows === 1 ? 'A change found no row on the target' : `${rows} changes found no row on the target`,
} as const;
