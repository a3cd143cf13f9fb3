import type { Client } from 'pg';
import type { Sequence, SequencePlace } from '../catalog/sequences.ts';
import { quoteLiteral, quoteRelation } from '../postgres/quote.ts';
import { isTransient, sqlState } from '../postgres/sqlstate.ts';

/** The sequence shall be as far as this. */
export interface SequenceValue {
  readonly sequence: Sequence;
  readonly place: SequencePlace;
}

/** One that the target did not let us set. */
export interface SequenceRefusal {
  readonly sequence: Sequence;
  readonly error: unknown;
}

/** So many are set in one statement. */
const A_STATEMENT = 100;

/**
 * Sets each sequence of the target, but never backwards: one that is further already stays. What is refused is returned.
 * Waits for no lock longer than a quarter of a second: then it throws lock_not_available, and the rest waits for another time.
 */
export async function setSequences(target: Client, values: readonly SequenceValue[]): Promise<SequenceRefusal[]> {
  const refused: SequenceRefusal[] = [];
  for (let from = 0; from < values.length; from += A_STATEMENT) {
    const some = values.slice(from, from + A_STATEMENT);
    // One that is refused must not keep the others back.
    if ((await attempt(target, some)) === null) continue;
    for (const value of some) {
      const error = await attempt(target, [value]);
      if (error !== null) refused.push({ sequence: value.sequence, error });
    }
  }
  return refused;
}

async function attempt(target: Client, values: readonly SequenceValue[]): Promise<unknown> {
  try {
    await target.query(`SET LOCAL lock_timeout = '250ms'; ${values.map(setSequenceSql).join(' UNION ALL ')}`);
    return null;
  } catch (error) {
    if (sqlState(error) === null || isTransient(error)) throw error;
    return error;
  }
}

// last_value is what it gave last, or is about to give first.
function setSequenceSql({ sequence, place: { value, given } }: SequenceValue): string {
  const name = quoteRelation(sequence);
  const to = quoteLiteral(value);
  const behind = `last_value ${sequence.ascending ? '<' : '>'} ${to}${given ? ` OR (last_value = ${to} AND NOT is_called)` : ''}`;
  return `SELECT pg_catalog.setval(${quoteLiteral(name)}::pg_catalog.regclass, ${to}, ${given}) FROM ${name} WHERE ${behind}`;
}
