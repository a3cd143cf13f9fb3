import type { Client } from 'pg';

/** The ID of a transaction that has not begun; as text. */
export async function nextXid(source: Client): Promise<string> {
  const { rows } = await source.query<{ xid: string }>(
    'SELECT pg_catalog.pg_snapshot_xmax(pg_catalog.pg_current_snapshot())::text AS xid',
  );
  return rows[0]?.xid ?? '0';
}

const NEWER = (row: string): string => `pg_catalog.age(${row}.xmin) <= pg_catalog.age($1::pg_catalog.xid8::pg_catalog.xid)`;
// Not temporary ones, nor their row and array types: some databases make these all the time.
const OF_RELATION = `c.relpersistence = 'p' AND c.relkind IN ('r', 'p', 'm', 't')`;

const CHANGED = `
  SELECT EXISTS (SELECT FROM pg_catalog.pg_class c WHERE ${OF_RELATION} AND ${NEWER('c')})
      OR EXISTS (SELECT FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_class c ON c.oid = a.attrelid WHERE ${OF_RELATION} AND ${NEWER('a')})
      OR EXISTS (SELECT FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class c ON c.oid = i.indrelid WHERE ${OF_RELATION} AND ${NEWER('i')})
      OR EXISTS (SELECT FROM pg_catalog.pg_type t WHERE t.typtype <> 'c' AND t.typcategory <> 'A' AND ${NEWER('t')})
      OR EXISTS (SELECT FROM pg_catalog.pg_publication p WHERE ${NEWER('p')})
      OR EXISTS (SELECT FROM pg_catalog.pg_publication_rel p WHERE ${NEWER('p')}) AS changed`;

/**
 * Whether relations, or what is published of them, were changed by a transaction of this ID or a later one. A server (up to 18 at
 * least) takes no notice of what commits while the creation of a slot waits for the first older transactions. Transactions that it
 * streams later may then be decoded by the catalog of before: a column is missing, or where a table has got another file by
 * TRUNCATE the decoder ends each time at the same change ("could not map filenumber … to relation OID").
 */
export async function changedSince(source: Client, xid: string): Promise<boolean> {
  const { rows } = await source.query<{ changed: boolean }>(CHANGED, [xid]);
  return rows[0]?.changed ?? false;
}
