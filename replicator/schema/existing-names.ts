import type { Client } from 'pg';
import { displayName, type RelationName } from '../catalog/relation.ts';

/** Which of these names a relation of any kind has, as display names: there may be thousands of others. */
export async function existingNames(client: Client, names: readonly RelationName[]): Promise<Set<string>> {
  if (names.length === 0) return new Set();
  const { rows } = await client.query<RelationName & Record<string, unknown>>(
    `SELECT n.nspname AS schema, c.relname AS name FROM pg_catalog.pg_class c
       JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
      WHERE (n.nspname::text, c.relname::text) IN (SELECT * FROM unnest($1::pg_catalog.text[], $2::pg_catalog.text[]))`,
    [names.map(({ schema }) => schema), names.map(({ name }) => name)],
  );
  return new Set(rows.map(displayName));
}
