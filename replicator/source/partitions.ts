import type { Client } from 'pg';
import { groupBy } from '../catalog/group-by.ts';
import type { Relation, RelationName } from '../catalog/relation.ts';
import type { Oid } from '../postgres/oid.ts';
import { quoteRelation } from '../postgres/quote.ts';
import { SQLSTATE, sqlState } from '../postgres/sqlstate.ts';
import { isLockTrouble, patientTransaction } from './patient-transaction.ts';

/** A partition that holds rows of a followed table, as it was at one look. */
export interface Leaf {
  readonly oid: Oid;
  /** By what it hangs on the table: the xmin of each entry in pg_inherits on the way up. Another one when it was detached and attached again. */
  readonly edges: string;
  /** Its file: another one when it was emptied, or written anew. */
  readonly file: Oid;
  /** `schema.table` */
  readonly name: string;
}

/** One as it is now. */
export interface PresentLeaf extends Leaf {
  /** The last of its edges that came about. */
  readonly newest: string;
  /** It was made as a partition, and has been one of this table ever since. */
  readonly born: boolean;
  /** Not analyzed since it got its file: TRUNCATE forgets what was known of it. */
  readonly forgotten: boolean;
}

// One in the middle of DETACH … CONCURRENTLY is none any more.
const LEAVES = `
  WITH RECURSIVE edge AS (
    SELECT inhparent AS parent, inhrelid AS child, xmin AS xid FROM pg_catalog.pg_inherits WHERE NOT inhdetachpending
  ), tree (root, member, edges, newest) AS (
    SELECT parent, child, xid::pg_catalog.text, xid FROM edge WHERE parent = ANY ($1)
    UNION ALL
    SELECT t.root, e.child, t.edges || ' ' || e.xid,
           CASE WHEN pg_catalog.age(e.xid) < pg_catalog.age(t.newest) THEN e.xid ELSE t.newest END
      FROM tree t JOIN edge e ON e.parent = t.member
  )
  SELECT t.root, c.oid, t.edges, c.relfilenode AS file, n.nspname || '.' || c.relname AS name,
         t.newest::pg_catalog.text AS newest, t.newest = y.xmin AS born, c.reltuples < 0 AS forgotten
    FROM tree t JOIN pg_catalog.pg_class c ON c.oid = t.member JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    JOIN pg_catalog.pg_type y ON y.oid = c.reltype
   WHERE c.relkind = 'r' ORDER BY c.oid`;

const NONE: readonly PresentLeaf[] = [];

/** Nobody's lock is waited for any longer. */
const LOCK_TIMEOUT_MS = 250;

/** Reads the partitions of each of these tables that is partitioned. */
export async function readLeaves(
  source: Client,
  relations: readonly Relation[],
): Promise<(relation: Relation) => readonly PresentLeaf[]> {
  const roots = relations.filter(({ kind }) => kind === 'partitioned').map(({ oid }) => oid);
  if (roots.length === 0) return () => NONE;
  const { rows } = await source.query<PresentLeaf & { root: Oid }>(LEAVES, [roots]);
  const byRoot = groupBy(rows, ({ root }) => root);
  return ({ oid }) => byRoot.get(oid) ?? NONE;
}

/** What has become of a table's partitions from one look to the next. */
export interface LeafChanges {
  readonly come: readonly PresentLeaf[];
  /** Dropped or detached, with the rows. */
  readonly gone: readonly Leaf[];
  readonly emptied: readonly PresentLeaf[];
}

/**
 * Compares two looks. A partition whose file was exchanged and of which nothing is known since counts as emptied; not so
 * where all are: a TRUNCATE of the table itself is in the stream.
 */
export function leafChanges(before: readonly Leaf[], now: readonly PresentLeaf[]): LeafChanges {
  const known = new Map(before.map((leaf) => [leaf.oid, leaf]));
  const present = new Set(now.map(({ oid }) => oid));
  const stayed = now.filter(({ oid, edges }) => known.get(oid)?.edges === edges);
  const others = stayed.filter(({ oid, file }) => known.get(oid)?.file !== file);
  return {
    come: now.filter((leaf) => !stayed.includes(leaf)),
    gone: before.filter(({ oid }) => !present.has(oid)),
    emptied: others.length === stayed.length ? [] : others.filter(({ forgotten }) => forgotten),
  };
}

/**
 * Whether a partition that has come to `table` has rows that do not come with the stream: those from before it was attached. Told by
 * their transactions: one that is older than the ATTACH and has committed since is taken for such a row, too. Up to PostgreSQL
 * 14 the sender may go on taking it for the table of its own that it was. Null where somebody keeps the table locked, so that it cannot
 * be looked at now.
 * https://www.postgresql.org/docs/current/logical-replication-restrictions.html
 */
export async function holdsUnsentRows(
  source: Client,
  sourceVersion: number,
  table: RelationName,
  { oid, newest, born }: PresentLeaf,
): Promise<boolean | null> {
  if (sourceVersion < 150_000 && !born) return true;
  try {
    return await patientTransaction(source, LOCK_TIMEOUT_MS, async () => {
      const bounds = await source.query<{ bounds: string | null }>(
        'SELECT pg_catalog.pg_get_partition_constraintdef($1) AS bounds',
        [oid],
      );
      const within = bounds.rows[0]?.bounds;
      // It is none any more.
      if (within === null || within === undefined) return false;
      // Through the table, which is what the role may read; the bounds lead to the partition.
      const { rows } = await source.query<{ older: boolean }>(
        `SELECT EXISTS (SELECT FROM ${quoteRelation(table)} WHERE tableoid = $1 AND (${within})
                           AND pg_catalog.age(xmin) >= pg_catalog.age($2::pg_catalog.xid)) AS older`,
        [oid, newest],
      );
      return rows[0]?.older ?? false;
    });
  } catch (error) {
    if (isLockTrouble(error)) return null;
    // The role may read some columns only: it is never known.
    if (sqlState(error) === SQLSTATE.insufficient_privilege) return true;
    throw error;
  }
}
