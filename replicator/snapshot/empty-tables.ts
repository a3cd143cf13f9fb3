import type { Client } from 'pg';
import { displayName } from '../catalog/relation.ts';
import { storeNothingCopied } from '../metadata/many-tables.ts';
import type { CopiedAsOf } from '../metadata/table-states.ts';
import type { Oid } from '../postgres/oid.ts';
import type { CopyEnds } from './copy-ends.ts';
import type { CopyTask } from './copy-table.ts';

// A file without a byte holds no row of the snapshot, unless it is another file by now (see refuseRewritten). Whoever holds
// ACCESS EXCLUSIVE would be waited for.
const WITHOUT_A_BYTE = `
  SELECT c.oid FROM pg_catalog.pg_class c
   WHERE c.oid = ANY ($1) AND c.relkind = 'r'
     AND c.oid NOT IN (SELECT l.relation FROM pg_catalog.pg_locks l
          WHERE l.locktype = 'relation' AND l.mode = 'AccessExclusiveLock' AND l.granted AND l.relation IS NOT NULL
            AND l.database = (SELECT d.oid FROM pg_catalog.pg_database d WHERE d.datname = pg_catalog.current_database()))
     AND c.relfilenode = pg_catalog.pg_relation_filenode(c.oid) AND pg_catalog.pg_relation_size(c.oid) = 0`;

/**
 * Copies the tables that are empty on both sides, all in one go, and returns them: a database may have thousands. `source` is in a
 * transaction on the snapshot, which keeps what that sees from being cleared away.
 */
export async function copyEmptyTables(
  tasks: readonly CopyTask[],
  { source, target }: CopyEnds,
  { pipeline, asOf }: { pipeline: string; asOf: CopiedAsOf | null },
): Promise<CopyTask[]> {
  const emptyHere = await withoutAByte(
    source,
    tasks.map((task) => task.source.oid),
  );
  const perhaps = tasks.filter((task) => emptyHere.has(task.source.oid));
  const emptyThere = await withoutAByte(
    target,
    perhaps.map((task) => task.target.oid),
  );
  const empty = perhaps.filter((task) => emptyThere.has(task.target.oid));
  const copied = new Set<string>();
  for (const bare of [true, false]) {
    const sources = empty.filter((task) => task.bare === bare).map((task) => task.mapping.source);
    if (sources.length === 0) continue;
    for (const source of await storeNothingCopied(target, pipeline, sources, { asOf, bare })) copied.add(displayName(source));
  }
  return empty.filter((task) => copied.has(displayName(task.mapping.source)));
}

async function withoutAByte(client: Client, oids: readonly Oid[]): Promise<Set<Oid>> {
  if (oids.length === 0) return new Set();
  const { rows } = await client.query<{ oid: Oid }>(WITHOUT_A_BYTE, [oids]);
  return new Set(rows.map((row) => row.oid));
}
