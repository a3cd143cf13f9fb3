import { parseLsn, type Lsn } from '../postgres/lsn.ts';
import { sql, type Session } from './databases.ts';

/** Where a transaction's commit record begins, and where it ends. */
export interface Commit {
  readonly begin: Lsn;
  readonly end: Lsn;
}

/** A slot of the test's own, from which the commits after this call can be read without moving anything. */
export async function watchCommits(source: Pick<Session, 'query'>, slot: string): Promise<void> {
  await sql(source, `SELECT pg_create_logical_replication_slot($1, 'pgoutput')`, [slot]);
}

/** The commits that a publication of this name publishes something of, oldest first. */
export async function readCommits(source: Pick<Session, 'query'>, slot: string, publication: string): Promise<Commit[]> {
  // Commit: 'C', int8 flags, int64 LSN of the commit, int64 end LSN of the transaction, int64 time.
  const rows = await sql(
    source,
    `SELECT '0/0'::pg_lsn + ('x' || encode(substring(data FROM 3 FOR 8), 'hex'))::bit(64)::bigint AS begin,
            '0/0'::pg_lsn + ('x' || encode(substring(data FROM 11 FOR 8), 'hex'))::bit(64)::bigint AS end
       FROM pg_logical_slot_peek_binary_changes($1, NULL, NULL, 'proto_version', '1', 'publication_names', $2)
      WHERE get_byte(data, 0) = ascii('C')`,
    [slot, publication],
  );
  return rows.map(({ begin, end }) => ({ begin: parseLsn(begin ?? ''), end: parseLsn(end ?? '') }));
}
