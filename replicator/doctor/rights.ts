import type { Client } from 'pg';
import { complaint, fine, type Finding } from '../finding.ts';
import type { Oid } from '../postgres/oid.ts';
import { quoteIdent, quoteRelation } from '../postgres/quote.ts';
import { some, tables, type TablePair } from './pairs.ts';

const OPERATIONS = ['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE'] as const;
type Operation = (typeof OPERATIONS)[number];

/** What the role may do with one table. */
export interface TableRights {
  readonly oid: Oid;
  readonly schema: string;
  readonly owner: string;
  /** Member of the owner. */
  readonly owns: boolean;
  readonly usesSchema: boolean;
  readonly lacks: readonly Operation[];
  /** Where the table as a whole may not be read: the columns that may not either. */
  readonly unreadable: readonly string[];
  /** Policies apply to this role. */
  readonly hidden: boolean;
  /** They do to the owner, too. */
  readonly forced: boolean;
}

/** The rights of the role that is connected, on these tables. */
export async function readRights(client: Client, oids: readonly Oid[]): Promise<Map<Oid, TableRights>> {
  const { rows } = await client.query<TableRights & { mask: string }>(RIGHTS, [oids]);
  return new Map(rows.map((row) => [row.oid, { ...row, lacks: OPERATIONS.filter((_, at) => row.mask[at] === '0') }]));
}

// As check_enable_rls() in rls.c decides, with row_security off.
const RIGHTS = `select c.oid, n.nspname as schema, pg_catalog.pg_get_userbyid(c.relowner) as owner,
  pg_catalog.pg_has_role(c.relowner, 'USAGE') as owns, pg_catalog.has_schema_privilege(n.oid, 'USAGE') as "usesSchema",
  ${OPERATIONS.map((operation) => `pg_catalog.has_table_privilege(c.oid, '${operation}')::int::text`).join(' || ')} as mask,
  case when pg_catalog.has_table_privilege(c.oid, 'SELECT') then '{}' else array(
    select a.attname::pg_catalog.text from pg_catalog.pg_attribute a
    where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped and not pg_catalog.has_column_privilege(c.oid, a.attnum, 'SELECT')
  ) end as unreadable,
  c.relrowsecurity and not r.rolsuper and not r.rolbypassrls
    and (c.relforcerowsecurity or not pg_catalog.pg_has_role(c.relowner, 'USAGE')) as hidden,
  c.relforcerowsecurity as forced
from pg_catalog.pg_class c
join pg_catalog.pg_namespace n on n.oid = c.relnamespace, pg_catalog.pg_roles r
where c.oid = any ($1::pg_catalog.oid[]) and r.rolname = current_user
order by n.nspname, c.relname`;

/** Whether a SELECT would be answered. */
export function mayRead(rights: TableRights | undefined): boolean {
  return rights !== undefined && rights.usesSchema && !rights.hidden && !rights.lacks.includes('SELECT');
}

type Rights = ReadonlyMap<Oid, TableRights>;

/** Pure: whether the source's role can read what is to be copied. */
export function classifySourceRights(pairs: readonly TablePair[], rights: Rights, user: string): Finding[] {
  const of = ({ source }: TablePair): TableRights | undefined => rights.get(source.oid);
  const closed = pairs.filter((pair) => of(pair)?.usesSchema === false);
  const unreadable = pairs.filter((pair) =>
    of(pair)?.unreadable.some((column) => !pair.mapping.excludeColumns.includes(column) && isCarried(pair, column)),
  );
  const findings: Finding[] = [];
  if (closed.length > 0) {
    const schemas = [...new Set(closed.map(({ source }) => source.schema))];
    findings.push(
      complaint('error', 'source', 'READ_TABLES', {
        message: `Role ${user} may not use ${schemas.length === 1 ? 'schema' : 'schemas'} ${some(schemas)} of the source.`,
        remedy: `GRANT USAGE ON SCHEMA ${schemas.map(quoteIdent).join(', ')} TO ${quoteIdent(user)};`,
      }),
    );
  }
  if (unreadable.length > 0) {
    findings.push(
      complaint('error', 'source', 'READ_TABLES', {
        ...oneTable(unreadable),
        message: `Role ${user} may not read ${tables(unreadable.length)}: ${some(unreadable.map(({ name }) => name))}.`,
        remedy: `GRANT SELECT ON ${relations(unreadable.map(({ source }) => source))} TO ${quoteIdent(user)};`,
      }),
    );
  }
  if (findings.length === 0) findings.push(fine('source', 'READ_TABLES', 'The role may read every table that is followed.'));
  return [...findings, ...rowSecurity('source', pairs, of, user)];
}

/** Pure: whether the target's role can write the tables. */
export function classifyTargetRights(pairs: readonly TablePair[], rights: Rights, user: string): Finding[] {
  const present = pairs.filter(({ target }) => target !== null);
  const of = ({ target }: TablePair): TableRights | undefined => (target ? rights.get(target.oid) : undefined);
  const findings: Finding[] = [];
  const closed = [...new Set(present.filter((pair) => of(pair)?.usesSchema === false).map((pair) => of(pair)?.schema ?? ''))];
  if (closed.length > 0) {
    findings.push(
      complaint('error', 'target', 'WRITE_TABLES', {
        message: `Role ${user} may not use ${closed.length === 1 ? 'schema' : 'schemas'} ${some(closed)} of the target.`,
        remedy: `GRANT USAGE ON SCHEMA ${closed.map(quoteIdent).join(', ')} TO ${quoteIdent(user)};`,
      }),
    );
  }
  // One line for all the tables that lack the same.
  const groups = groupBy(present, (pair) => (of(pair)?.lacks ?? []).join(', '));
  for (const [lacking, group] of groups) {
    if (lacking === '') continue;
    const onlyTruncate = lacking === 'TRUNCATE';
    findings.push(
      complaint(onlyTruncate ? 'warning' : 'error', 'target', 'WRITE_TABLES', {
        ...oneTable(group),
        message: `Role ${user} may not ${lacking} on ${some(group.map(({ mapping }) => `${mapping.target.schema}.${mapping.target.name}`))}${onlyTruncate ? ': a TRUNCATE on the source cannot be followed' : ''}.`,
        remedy: `GRANT ${lacking} ON ${relations(group.map(({ mapping }) => mapping.target))} TO ${quoteIdent(user)};`,
      }),
    );
  }
  if (findings.length === 0 && present.length > 0)
    findings.push(fine('target', 'WRITE_TABLES', 'The role may write every table.'));
  return [...findings, ...ownership(present, of, user), ...rowSecurity('target', present, of, user)];
}

function ownership(pairs: readonly TablePair[], of: (pair: TablePair) => TableRights | undefined, user: string): Finding[] {
  const foreign = pairs.filter((pair) => of(pair)?.owns === false);
  if (pairs.length === 0) return [];
  if (foreign.length === 0)
    return [fine('target', 'TARGET_OWNER', 'The role owns every table of the target, or is a member of its owner.')];
  const owners = [...new Set(foreign.map((pair) => of(pair)?.owner ?? ''))];
  return [
    complaint('warning', 'target', 'TARGET_OWNER', {
      ...oneTable(foreign),
      message: `Role ${user} does not own ${tables(foreign.length)} of the target (${some(foreign.map(({ name }) => name))}): TRUNCATE … RESTART IDENTITY cannot be followed, and the copy is not analyzed.`,
      remedy: `GRANT ${owners.map(quoteIdent).join(', ')} TO ${quoteIdent(user)};`,
    }),
  ];
}

function rowSecurity(
  where: 'source' | 'target',
  pairs: readonly TablePair[],
  of: (pair: TablePair) => TableRights | undefined,
  user: string,
): Finding[] {
  const hidden = pairs.filter((pair) => of(pair)?.hidden);
  if (hidden.length === 0) return [];
  const names = (some: readonly TablePair[]): string[] =>
    some.map(({ source, mapping }) => quoteRelation(where === 'source' ? source : mapping.target));
  const forced = names(hidden.filter((pair) => of(pair)?.forced));
  const owners = new Set(hidden.flatMap((pair) => (of(pair)?.owns ? [] : [of(pair)?.owner ?? ''])));
  const others = [
    ...[...owners].map((owner) => `GRANT ${quoteIdent(owner)} TO ${quoteIdent(user)};`),
    ...forced.map((name) => `ALTER TABLE ${name} NO FORCE ROW LEVEL SECURITY;`),
  ];
  return [
    complaint('error', where, 'ROW_SECURITY', {
      ...oneTable(hidden),
      message: `Row level security applies to role ${user} on ${tables(hidden.length)} of the ${where} (${some(hidden.map(({ name }) => name))}): ${where === 'source' ? 'their rows are neither copied nor compared' : 'their rows cannot be written'}, since not all of them would be there.`,
      remedy: `As a superuser: ALTER ROLE ${quoteIdent(user)} BYPASSRLS;\nor: ${others.join(' ')}`,
    }),
  ];
}

function isCarried({ source }: TablePair, column: string): boolean {
  return source.columns.some(({ name, generated }) => name === column && generated === 'no');
}

/** Where a finding is about one table, it says so in its own field. */
export function oneTable(pairs: readonly TablePair[]): { table: string | null } {
  return { table: pairs.length === 1 ? (pairs[0]?.name ?? null) : null };
}

function relations(names: readonly { schema: string; name: string }[]): string {
  return names.map(quoteRelation).join(', ');
}

function groupBy<T>(items: readonly T[], key: (item: T) => string): Map<string, T[]> {
  const groups = new Map<string, T[]>();
  for (const item of items) groups.set(key(item), [...(groups.get(key(item)) ?? []), item]);
  return groups;
}
