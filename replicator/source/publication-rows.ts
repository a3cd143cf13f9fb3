import type { Client } from 'pg';

/** The catalog rows of publications, `oid:xmin` each, sorted. Their options and their names are in there, their tables are not. */
export type PublicationRows = readonly string[];

/** Reads those of these names; what does not exist is left out. */
export async function readPublicationRows(source: Client, names: readonly string[]): Promise<PublicationRows> {
  const { rows } = await source.query<{ row: string }>(
    `SELECT oid || ':' || xmin AS row FROM pg_catalog.pg_publication WHERE pubname = ANY ($1)`,
    [names],
  );
  return rows.map(({ row }) => row).toSorted();
}

/** Whether one that was there before has been altered, however it is now. One that was made anew is another one. */
export function isAltered(before: PublicationRows, now: PublicationRows): boolean {
  const known = new Map(before.map(split));
  return now.map(split).some(([oid, xmin]) => (known.get(oid) ?? xmin) !== xmin);
}

function split(row: string): [oid: string, xmin: string] {
  const [oid = '', xmin = ''] = row.split(':');
  return [oid, xmin];
}
