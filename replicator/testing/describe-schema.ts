import type { Session } from './databases.ts';

/**
 * What a database's own catalog says of everything of the user in it, a line each, sorted: tables and their columns, defaults,
 * identities, keys, indexes, constraints, sequences, types, functions, comments, storage. What two databases that are made alike
 * must answer alike.
 */
export async function describeSchema(side: Pick<Session, 'query'>): Promise<string[]> {
  await side.query(`SET search_path = ''`);
  try {
    const rows = await side.query(DESCRIPTION);
    return rows.map(({ line }) => line ?? '');
  } finally {
    await side.query('RESET search_path');
  }
}

const USER_SCHEMA = (name: string): string => `${name} !~ '^pg_' AND ${name} NOT IN ('information_schema', 'pgfollow')`;
const NO_EXTENSION = (catalog: string, oid: string): string =>
  `NOT EXISTS (SELECT FROM pg_depend e WHERE e.classid = '${catalog}'::regclass AND e.objid = ${oid} AND e.deptype = 'e')`;

const DESCRIPTION = `WITH rel AS (
  SELECT c.*, format('%I.%I', n.nspname, c.relname) AS full_name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE ${USER_SCHEMA('n.nspname')} AND ${NO_EXTENSION('pg_class', 'c.oid')}
)
SELECT line FROM (
  SELECT format('schema %I', nspname) AS line FROM pg_namespace n WHERE ${USER_SCHEMA('nspname')}
  UNION ALL
  SELECT format('extension %I in %s', extname, extnamespace::regnamespace) FROM pg_extension
  UNION ALL
  SELECT format('table %s %s options %s toast %s key %s bound %s identity %s comment %s', full_name, relkind, reloptions,
      (SELECT reloptions FROM pg_class t WHERE t.oid = rel.reltoastrelid),
      CASE WHEN relkind = 'p' THEN pg_get_partkeydef(oid) END, CASE WHEN relispartition THEN pg_get_expr(relpartbound, oid) END, relreplident, obj_description(oid, 'pg_class'))
    FROM rel WHERE relkind IN ('r', 'p')
  UNION ALL
  SELECT format('inherits %s from %s (%s)', inhrelid::regclass, inhparent::regclass, inhseqno) FROM pg_inherits
    WHERE inhrelid IN (SELECT oid FROM rel)
  UNION ALL
  SELECT format('column %s.%I %s collation %s%s default %s identity %s generated %s storage %s compression %s statistics %s options %s comment %s', full_name, attname,
      format_type(atttypid, atttypmod), attcollation::regcollation, CASE WHEN attnotnull THEN ' not null' END, pg_get_expr(adbin, CASE WHEN attgenerated = '' THEN 0 ELSE adrelid::int8 END::oid), attidentity, attgenerated, attstorage,
      attcompression, nullif(attstattarget, -1), attoptions, col_description(attrelid, attnum))
    FROM rel JOIN pg_attribute a ON a.attrelid = rel.oid AND attnum > 0 AND NOT attisdropped LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
    WHERE relkind IN ('r', 'p', 'c')
  UNION ALL
  SELECT format('column order of %s: %s', full_name, (SELECT string_agg(attname, ', ' ORDER BY attnum) FROM pg_attribute WHERE attrelid = rel.oid AND attnum > 0 AND NOT attisdropped))
    FROM rel WHERE relkind IN ('r', 'p', 'c')
  UNION ALL
  SELECT format('constraint %I on %s%s: %s deferrable %s deferred %s valid %s comment %s', conname, conrelid::regclass, contypid::regtype, pg_get_constraintdef(k.oid), condeferrable, condeferred, convalidated,
      obj_description(k.oid, 'pg_constraint'))
    FROM pg_constraint k JOIN pg_namespace n ON n.oid = connamespace WHERE contype <> 't' AND ${USER_SCHEMA('n.nspname')} AND ${NO_EXTENSION('pg_constraint', 'k.oid')}
  UNION ALL
  SELECT format('index %s valid %s primary %s identity %s clustered %s comment %s', pg_get_indexdef(indexrelid), indisvalid, indisprimary, indisreplident, indisclustered, obj_description(indexrelid, 'pg_class'))
    FROM pg_index WHERE indrelid IN (SELECT oid FROM rel WHERE relkind IN ('r', 'p'))
  UNION ALL
  SELECT format('sequence %s %s %s %s %s %s %s %s owned by %s comment %s', full_name, seqtypid::regtype, seqstart, seqincrement, seqmin, seqmax, seqcache, seqcycle,
      (SELECT format('%s.%s %s', refobjid::regclass, refobjsubid, deptype) FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = rel.oid AND d.refclassid = 'pg_class'::regclass AND deptype IN ('a', 'i')),
      obj_description(oid, 'pg_class'))
    FROM rel JOIN pg_sequence ON seqrelid = oid
  UNION ALL
  SELECT format('type %s %s of %s not null %s default %s labels %s comment %s', t.oid::regtype, typtype, format_type(typbasetype, typtypmod), typnotnull, typdefault,
      (SELECT array_agg(enumlabel ORDER BY enumsortorder) FROM pg_enum WHERE enumtypid = t.oid), obj_description(t.oid, 'pg_type'))
    FROM pg_type t JOIN pg_namespace n ON n.oid = typnamespace
    WHERE typtype IN ('e', 'd', 'c', 'r', 'm') AND ${USER_SCHEMA('n.nspname')} AND ${NO_EXTENSION('pg_type', 't.oid')}
      AND (typrelid = 0 OR typrelid IN (SELECT oid FROM rel WHERE relkind IN ('r', 'p', 'c')))
  UNION ALL
  SELECT format('range %s %s %s %s %s', rngtypid::regtype, rngsubtype::regtype, rngmultitypid::regtype, rngcollation::regcollation, rngsubdiff) FROM pg_range
    WHERE rngtypid >= 16384
  UNION ALL
  SELECT format('collation %I.%I %s %s', n.nspname, collname, collprovider, collisdeterministic) FROM pg_collation JOIN pg_namespace n ON n.oid = collnamespace WHERE ${USER_SCHEMA('n.nspname')}
  UNION ALL
  SELECT format('function %s', pg_get_functiondef(p.oid)) FROM pg_proc p JOIN pg_namespace n ON n.oid = pronamespace
    WHERE ${USER_SCHEMA('n.nspname')} AND prokind = 'f' AND ${NO_EXTENSION('pg_proc', 'p.oid')}
  UNION ALL
  SELECT format('statistics %s comment %s', pg_get_statisticsobjdef(s.oid), obj_description(s.oid, 'pg_statistic_ext')) FROM pg_statistic_ext s
) described
ORDER BY line COLLATE "C"`;
