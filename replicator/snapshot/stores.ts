import type { Client } from 'pg';
import type { Relation } from '../catalog/relation.ts';
import type { Store } from './chunks.ts';

const LEAVES = `
  SELECT n.nspname AS schema, c.relname AS name, c.relkind = 'r' AS divisible,
         CASE c.relkind WHEN 'r' THEN coalesce(pg_catalog.pg_relation_size(c.oid), 0) ELSE 0 END::pg_catalog.text AS bytes,
         pg_catalog.has_table_privilege(c.oid, 'SELECT') AND NOT pg_catalog.row_security_active(c.oid) AS open
    FROM pg_catalog.pg_partition_tree($1::pg_catalog.oid::pg_catalog.regclass) p
    JOIN pg_catalog.pg_class c ON c.oid = p.relid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
   WHERE p.isleaf OR p.level = 0 ORDER BY p.level, c.oid`;

interface LeafRow {
  schema: string;
  name: string;
  divisible: boolean;
  bytes: string;
  open: boolean;
}

/**
 * What the rows of a table are in: the partitions of a partitioned one, where the role may read each by its name and sees the
 * same rows there as through the table; else the table itself.
 */
export async function readStores(source: Client, { oid, kind, bytes }: Relation): Promise<readonly Store[]> {
  const itself = { relation: null, bytes, divisible: kind === 'table' };
  if (kind === 'table') return [itself];
  const { rows } = await source.query<LeafRow>(LEAVES, [oid]);
  const [, ...leaves] = rows;
  if (leaves.length < 2 || rows.some(({ open }) => !open)) return [itself];
  return leaves.map(({ schema, name, divisible, bytes: size }) => ({
    relation: { schema, name },
    bytes: Number(size),
    divisible,
  }));
}
