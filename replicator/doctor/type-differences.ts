import type { Client } from 'pg';
import type { ColumnPair } from '../catalog/match-target.ts';
import type { ColumnType } from '../catalog/relation.ts';
import { complaint, fine, type Finding } from '../finding.ts';
import type { Oid } from '../postgres/oid.ts';
import { quoteLiteral } from '../postgres/quote.ts';

/** What an enum or domain allows. */
export interface TypeRules {
  readonly oid: Oid;
  /** Of an enum, in their order. */
  readonly labels: readonly string[];
  /** Of a domain: `NOT NULL`, CHECK constraints as the server prints them. */
  readonly checks: readonly string[];
}

export async function readTypeRules(client: Client, oids: readonly Oid[]): Promise<Map<Oid, TypeRules>> {
  const { rows } = await client.query<TypeRules>(
    `select t.oid,
       array(select e.enumlabel::pg_catalog.text from pg_catalog.pg_enum e where e.enumtypid = t.oid order by e.enumsortorder) as labels,
       array(select c.def from (
         select pg_catalog.pg_get_constraintdef(k.oid) as def from pg_catalog.pg_constraint k where k.contypid = t.oid and k.contype = 'c'
         union all select 'NOT NULL' where t.typnotnull) c order by 1) as checks
     from pg_catalog.pg_type t where t.oid = any ($1::pg_catalog.oid[])`,
    [oids],
  );
  return new Map(rows.map((row) => [row.oid, row]));
}

/** The types of carried columns that have rules of their own, each pair once. */
export function ruledTypes(columns: readonly ColumnPair[]): { source: ColumnType; target: ColumnType }[] {
  const pairs = new Map<string, { source: ColumnType; target: ColumnType }>();
  for (const { source, target } of columns) {
    if (target.type.kind === 'enum' || target.type.kind === 'domain')
      pairs.set(`${source.type.oid} ${target.type.oid}`, { source: source.type, target: target.type });
  }
  return [...pairs.values()];
}

/** Pure: values that the source takes and the target would refuse because of its types. */
export function classifyTypes(
  pairs: readonly { source: ColumnType; target: ColumnType }[],
  rules: { source: ReadonlyMap<Oid, TypeRules>; target: ReadonlyMap<Oid, TypeRules> },
): Finding[] {
  const findings = pairs.flatMap(({ source, target }): Finding[] => {
    const ours = rules.source.get(source.oid);
    const theirs = rules.target.get(target.oid);
    if (!theirs) return [];
    const labels =
      source.kind === 'enum' && target.kind === 'enum'
        ? (ours?.labels ?? []).filter((label) => !theirs.labels.includes(label))
        : [];
    if (labels.length > 0) {
      return [
        complaint('error', 'target', 'TYPE_DIFFERENCE', {
          message: `The enum ${target.sqlName} of the target lacks ${labels.map(quoteLiteral).join(', ')}, which the source has.`,
          remedy: `Run on the target: ${labels.map((label) => `ALTER TYPE ${target.sqlName} ADD VALUE ${quoteLiteral(label)};`).join(' ')}`,
        }),
      ];
    }
    const checks = target.kind === 'domain' ? theirs.checks.filter((check) => !(ours?.checks ?? []).includes(check)) : [];
    if (checks.length === 0) return [];
    return [
      complaint('warning', 'target', 'TYPE_DIFFERENCE', {
        message: `The domain ${target.sqlName} of the target has rules that the source has not (${checks.join('; ')}): values may be refused.`,
        remedy: `Make sure that every value of the source keeps them, or drop them on the target: ALTER DOMAIN ${target.sqlName} DROP CONSTRAINT …;`,
      }),
    ];
  });
  return findings.length > 0 || pairs.length === 0
    ? findings
    : [fine('target', 'TYPE_DIFFERENCE', 'Enums and domains of the followed columns fit.')];
}
