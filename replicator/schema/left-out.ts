import type { Client } from 'pg';
import type { Relation } from '../catalog/relation.ts';
import { complaint, type Finding } from '../finding.ts';
import type { Oid } from '../postgres/oid.ts';

/** Names shown a kind; the rest is counted. */
const SHOWN = 5;

/** A setting of tables, as opposed to the other kinds: without policies nobody but the owner sees a row. */
const ROW_SECURITY = 'row level security';

/** What hangs on the tables (`$1`) and what else is in their schemas, of all that is not created, by kind. */
const LEFT_OUT = `with followed as (
  select c.oid, c.relname, c.relnamespace, n.nspname, c.relacl, c.relrowsecurity
  from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace where c.oid = any ($1)
),
-- What belongs to an extension comes with that, and a range type brings its functions.
own as (
  select classid, objid from pg_catalog.pg_depend where deptype in ('e', 'i')
)
select kind, pg_catalog.count(*)::pg_catalog.int4 as count, (pg_catalog.array_agg(name order by name))[1:${SHOWN}] as names
from (
  select case c.relkind when 'v' then 'view' when 'm' then 'materialized view' else 'foreign table' end as kind,
    pg_catalog.format('%s.%s', n.nspname, c.relname) as name
  from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
  where c.relkind in ('v', 'm', 'f') and c.relnamespace in (select relnamespace from followed)
    and ('pg_catalog.pg_class'::pg_catalog.regclass::pg_catalog.oid, c.oid) not in (select * from own)
  union all
  select 'trigger', pg_catalog.format('%s on %s.%s', t.tgname, f.nspname, f.relname)
  from pg_catalog.pg_trigger t join followed f on f.oid = t.tgrelid where not t.tgisinternal
  union all
  select 'rule', pg_catalog.format('%s on %s.%s', r.rulename, f.nspname, f.relname)
  from pg_catalog.pg_rewrite r join followed f on f.oid = r.ev_class
  union all
  select 'policy', pg_catalog.format('%s on %s.%s', p.polname, f.nspname, f.relname)
  from pg_catalog.pg_policy p join followed f on f.oid = p.polrelid
  union all
  select '${ROW_SECURITY}', pg_catalog.format('%s.%s', f.nspname, f.relname) from followed f where f.relrowsecurity
  union all
  select 'grant', pg_catalog.format('on %s.%s', f.nspname, f.relname) from followed f where f.relacl is not null
  union all
  select 'function', pg_catalog.format('%s.%s', n.nspname, p.proname)
  from pg_catalog.pg_proc p join pg_catalog.pg_namespace n on n.oid = p.pronamespace
  where p.pronamespace in (select relnamespace from followed)
    and ('pg_catalog.pg_proc'::pg_catalog.regclass::pg_catalog.oid, p.oid) not in (select * from own)
    and p.oid <> all ($2)
  union all
  select 'event trigger', e.evtname from pg_catalog.pg_event_trigger e
  where ('pg_catalog.pg_event_trigger'::pg_catalog.regclass::pg_catalog.oid, e.oid) not in (select * from own)
) found
group by kind order by kind`;

/** In pg_restore's list, by the names that it has for them. */
const IN_DUMP =
  'VIEW|MATERIALIZED VIEW|FOREIGN TABLE|FUNCTION|PROCEDURE|AGGREGATE|TRIGGER|RULE|POLICY|ROW SECURITY|ACL|EVENT TRIGGER';

/**
 * What is around tables that were created and was not created with them, as one finding with the commands that bring it;
 * null where there is nothing. `functions`: those that were needed, and so are there.
 */
export async function leftOut(source: Client, tables: readonly Relation[], functions: readonly Oid[]): Promise<Finding | null> {
  const { rows } = await source.query<{ kind: string; count: number; names: string[] }>(LEFT_OUT, [
    tables.map(({ oid }) => oid),
    functions,
  ]);
  if (rows.length === 0) return null;
  const kinds = rows.map(({ kind, count, names }) => {
    const more = count > names.length ? ` and ${count - names.length} more` : '';
    const counted =
      kind === ROW_SECURITY
        ? `${kind} of ${count} ${count === 1 ? 'table' : 'tables'}`
        : `${count} ${count === 1 ? kind : plural(kind)}`;
    return `${counted} (${names.join(', ')}${more})`;
  });
  return complaint('warning', 'target', 'LEFT_OUT', {
    message: `Not created on the target with the tables: ${kinds.join('; ')}.`,
    remedy:
      `Nothing, where they are not needed there. To bring them:\n` +
      `pg_dump --schema-only --format=custom --file=schema.dump "$PGFOLLOW_SOURCE_URL"\n` +
      `pg_restore --list schema.dump | grep -E ' (${IN_DUMP}) ' > left-out.list\n` +
      `pg_restore --use-list=left-out.list --dbname="$PGFOLLOW_TARGET_URL" schema.dump`,
  });
}

function plural(kind: string): string {
  return kind.endsWith('y') ? `${kind.slice(0, -1)}ies` : `${kind}s`;
}
