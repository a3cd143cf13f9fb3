import type { Client } from 'pg';
import { TYPE_OID, type Oid } from '../postgres/oid.ts';
import type { RowTypes } from './row-parameter.ts';

const TEXT_ARRAY = 1009;

/**
 * Which array type holds many values of a type, in this database. Values of a type without one (an array itself) are staged in binary
 * in rows of the target table's own type.
 */
export class ArrayTypes {
  readonly #known = new Map<Oid, Oid>([[TYPE_OID.text, TEXT_ARRAY]]);
  readonly #rows = new Map<Oid, RowTypes>();

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

  /** Looks up the types of this table's rows; once a table and session. */
  async learnRows(client: Client, table: Oid): Promise<void> {
    if (this.#rows.has(table)) return;
    const { rows } = await client.query<RowTypes>(
      `SELECT t.oid AS row, t.typarray AS array FROM pg_catalog.pg_class c JOIN pg_catalog.pg_type t ON t.oid = c.reltype WHERE c.oid = $1`,
      [table],
    );
    for (const { row, array } of rows) this.#rows.set(table, { row, array });
  }

  /** Null where they were not looked up. */
  rowsOf(table: Oid): RowTypes | null {
    return this.#rows.get(table) ?? null;
  }

  /** 0 when there is none. */
  of(type: Oid): Oid {
    return this.#known.get(type) ?? 0;
  }
}
