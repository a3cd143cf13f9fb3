import type { Client } from 'pg';
import { displayName, type RelationName } from '../catalog/relation.ts';
import type { Config } from '../config/schema.ts';
import { matchTables } from '../config/table-pattern.ts';
import { complaint, type Finding } from '../finding.ts';
import type { Oid } from '../postgres/oid.ts';
import { quoteRelation } from '../postgres/quote.ts';
import { planReplicaIdentity } from '../source/replica-identity.ts';
import type { TablePair } from './pairs.ts';

/** A relation with rows that no stream brings. */
export interface Bystander extends RelationName {
  readonly kind: 'foreign table' | 'materialized view';
  /** The partitioned table that it is part of. */
  readonly root: RelationName | null;
}

export async function readBystanders(source: Client): Promise<Bystander[]> {
  const { rows } = await source.query<Bystander>(
    `select n.nspname as schema, c.relname as name, case c.relkind when 'f' then 'foreign table' else 'materialized view' end as kind,
       (select pg_catalog.json_build_object('schema', rn.nspname, 'name', r.relname)
          from pg_catalog.pg_class r join pg_catalog.pg_namespace rn on rn.oid = r.relnamespace
         where c.relispartition and r.oid = pg_catalog.pg_partition_root(c.oid)) as root
     from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
     where c.relkind in ('f', 'm') and n.nspname !~ '^pg_' and n.nspname not in ('information_schema', 'pgfollow')
     order by 1, 2`,
  );
  return rows;
}

/** Pure: what tables.include matches but nobody can follow. */
export function classifyBystanders(bystanders: readonly Bystander[], { tables }: Config): Finding[] {
  const included = matchTables(tables.include);
  const excluded = tables.exclude.length === 0 ? () => false : matchTables(tables.exclude);
  return bystanders
    .filter(({ root, ...relation }) => [relation, ...(root ? [root] : [])].some((each) => included(each)))
    .filter(({ root, ...relation }) => ![relation, ...(root ? [root] : [])].some((each) => excluded(each)))
    .map(({ kind, root, ...relation }) =>
      complaint('warning', 'source', 'NOT_A_TABLE', {
        table: displayName(relation),
        message: root
          ? `${displayName(relation)}, a partition of ${displayName(root)}, is a foreign table: its rows are copied with the others, but nothing that happens to them is in the WAL, so it is not followed.`
          : `${displayName(relation)} is a ${kind}: nothing of it is in the WAL, so it is not followed.`,
        remedy: root
          ? `Follow the table that it stands for, from its own server; pgfollow resync ${displayName(root)} brings what has changed. Where the target lacks a partition for its rows: CREATE TABLE ${quoteRelation(relation)} PARTITION OF …`
          : kind === 'foreign table'
            ? 'Follow the table that it stands for, from its own server; or add it to tables.exclude.'
            : 'Make the view on the target too, and refresh it there; or add it to tables.exclude.',
      }),
    );
}

/** Tables that keep values aside because they are large. No lock is taken. */
export async function readToasted(source: Client, oids: readonly Oid[]): Promise<Set<Oid>> {
  const { rows } = await source.query<{ oid: Oid }>(
    `select c.oid from pg_catalog.pg_class c join pg_catalog.pg_class t on t.oid = c.reltoastrelid
     where c.oid = any ($1::pg_catalog.oid[]) and (t.relpages > 0 or pg_catalog.pg_stat_get_live_tuples(t.oid) > 0)`,
    [oids],
  );
  return new Set(rows.map(({ oid }) => oid));
}

/** Pure: with FULL the old row goes into the WAL whole, large values that did not change too. */
export function classifyToast(pairs: readonly TablePair[], toasted: ReadonlySet<Oid>): Finding[] {
  return pairs
    .filter(({ source }) => toasted.has(source.oid))
    .filter(({ source }) => source.replicaIdentity === 'full' || planReplicaIdentity(source).some(({ to }) => to.kind === 'full'))
    .map(({ name, source }) =>
      complaint('warning', 'source', 'FULL_IDENTITY_TOAST', {
        table: name,
        message: `${name} has large values and REPLICA IDENTITY FULL: each UPDATE and DELETE writes all of them to the WAL again.`,
        remedy: source.uniqueIndexes.some((index) => index.primary)
          ? `ALTER TABLE ${quoteRelation(source)} REPLICA IDENTITY DEFAULT; its primary key is enough.`
          : `Give it a key: ALTER TABLE ${quoteRelation(source)} ADD PRIMARY KEY (…); then REPLICA IDENTITY DEFAULT.`,
      }),
    );
}
