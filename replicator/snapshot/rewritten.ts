import type { Client } from 'pg';
import { displayName } from '../catalog/relation.ts';
import { Problem } from '../problem.ts';
import type { Chunk } from './chunks.ts';
import type { CopyTask } from './copy-table.ts';

// What is read from the catalog's tables is as of the snapshot, what its functions say is as of now.
const NO_LONGER_THE_SAME = `
  WITH named AS (
    SELECT c.oid, pg_catalog.to_regclass(pg_catalog.format('%I.%I', r.schema, r.name))::pg_catalog.oid AS now
      FROM unnest($1::pg_catalog.text[], $2::pg_catalog.text[]) AS r (schema, name)
      LEFT JOIN (pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace)
        ON n.nspname = r.schema AND c.relname = r.name)
  SELECT EXISTS (SELECT FROM named WHERE oid IS NULL OR now IS NULL OR oid <> now)
      OR EXISTS (
         SELECT FROM pg_catalog.pg_class c
          WHERE c.oid IN (SELECT oid FROM named UNION ALL SELECT p.relid FROM named, LATERAL pg_catalog.pg_partition_tree(now) p)
            AND c.relfilenode <> 0 AND c.relfilenode IS DISTINCT FROM pg_catalog.pg_relation_filenode(c.oid)) AS rewritten,
         EXISTS (
         SELECT FROM (SELECT a.attname::pg_catalog.text AS name, a.atttypid AS type FROM pg_catalog.pg_attribute a
                       WHERE a.attrelid = $3 AND a.attnum > 0 AND NOT a.attisdropped) AS seen
           FULL JOIN unnest($4::pg_catalog.text[], $5::pg_catalog.oid[]) AS known (name, type)
             ON known.name = seen.name AND known.type = seen.type
          WHERE known.name IS NULL OR seen.name IS NULL) AS altered`;

/**
 * Throws TABLE_REWRITTEN where a COPY in this transaction may miss something of its snapshot. TRUNCATE and the forms of ALTER
 * TABLE that write a table anew are not MVCC-safe: to an older snapshot the table is empty
 * (https://www.postgresql.org/docs/current/mvcc-caveats.html); each gives it another file. And a column that was added between
 * the look at the catalog and the snapshot would be left out. Certain only while `source` holds the lock of the COPY.
 */
export async function refuseRewritten(source: Client, task: CopyTask, chunk: Chunk | null): Promise<void> {
  const partitions = chunk?.ranges.flatMap(({ relation }) => relation ?? []) ?? [];
  const read = partitions.length === 0 ? [task.source] : partitions;
  const { rows } = await source.query<{ rewritten: boolean; altered: boolean }>(NO_LONGER_THE_SAME, [
    read.map(({ schema }) => schema),
    read.map(({ name }) => name),
    task.source.oid,
    task.source.columns.map(({ name }) => name),
    task.source.columns.map(({ type }) => type.oid),
  ]);
  const { rewritten = true, altered = false } = rows[0] ?? {};
  if (!rewritten && !altered) return;
  const table = displayName(task.mapping.source);
  const message = rewritten
    ? `${table} was written anew or emptied on the source (ALTER TABLE, TRUNCATE, VACUUM FULL) since the state that it was to be copied as of, which can no longer be read.`
    : `${table} has got other columns on the source while its copy was about to begin.`;
  const remedy = 'Nothing to do: it is copied as of a later state.';
  throw new Problem('TABLE_REWRITTEN', message, { table, remedy, retry: 'transient' });
}
