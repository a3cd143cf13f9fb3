import type { Client } from 'pg';
import { TYPE_OID, type Oid } from '../postgres/oid.ts';

const TEXT_ARRAY = 1009;

/**
 * Which array type holds many values of a type, in this database. A type without one (an array itself) cannot be
 * staged in binary.
 */
export class ArrayTypes {
  readonly #known = new Map<Oid, Oid>([[TYPE_OID.text, TEXT_ARRAY]]);

  /** Looks up the array types of these types; once a type and session. */
  async learn(client: Client, types: readonly Oid[]): Promise<void> {
    const unknown = [...new Set(types)].filter((oid) => !this.#known.has(oid));
    if (unknown.length === 0) return;
    const { rows } = await client.query<{ oid: Oid; array: Oid }>(
      'SELECT oid, typarray AS array FROM pg_catalog.pg_type WHERE oid = ANY ($1)',
      [unknown],
    );
    for (const row of rows) this.#known.set(row.oid, row.array);
  }

  /** 0 when there is none. */
  of(type: Oid): Oid {
    return this.#known.get(type) ?? 0;
  }
}
