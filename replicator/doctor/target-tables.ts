import type { Client } from 'pg';
import { displayName } from '../catalog/relation.ts';
import type { Config } from '../config/schema.ts';
import { partitionRefusal } from '../apply/partition-refusal.ts';
import { reasonOf } from '../apply/remedies.ts';
import { complaint, fine, type Finding } from '../finding.ts';
import type { StoredTable } from '../metadata/table-states.ts';
import type { Oid } from '../postgres/oid.ts';
import { quoteRelation } from '../postgres/quote.ts';
import { sqlState } from '../postgres/sqlstate.ts';
import { some, tables, type TablePair } from './pairs.ts';
import { oneTable } from './rights.ts';

/** What acts on rows as they are written to one target table. */
export interface Actors {
  readonly oid: Oid;
  /** ENABLE REPLICA and ENABLE ALWAYS. */
  readonly always: readonly string[];
  /** Those that a session with session_replication_role = replica leaves alone. */
  readonly ordinary: readonly string[];
  /** Foreign keys of the table, and those that refer to it. */
  readonly foreignKeys: number;
}

export async function readActors(target: Client, oids: readonly Oid[]): Promise<Map<Oid, Actors>> {
  const { rows } = await target.query<Actors>(
    `with triggers as (
       select t.tgrelid as oid,
         coalesce(array_agg(t.tgname::pg_catalog.text order by t.tgname) filter (where t.tgenabled in ('R', 'A')), '{}') as always,
         coalesce(array_agg(t.tgname::pg_catalog.text order by t.tgname) filter (where t.tgenabled = 'O'), '{}') as ordinary
       from pg_catalog.pg_trigger t where not t.tgisinternal group by t.tgrelid
     ),
     keys as (
       select oid, count(*)::int as count
       from (select conrelid as oid from pg_catalog.pg_constraint where contype = 'f'
             union all select confrelid from pg_catalog.pg_constraint where contype = 'f') ends
       group by oid
     )
     select oid, coalesce(always, '{}') as always, coalesce(ordinary, '{}') as ordinary, coalesce(count, 0) as "foreignKeys"
     from triggers full join keys using (oid)
     where oid = any ($1::pg_catalog.oid[])`,
    [oids],
  );
  return new Map(rows.map((row) => [row.oid, row]));
}

/** Pure: triggers and foreign keys that get in the way of replicated rows, or act on them. */
export function classifyActors(
  pairs: readonly TablePair[],
  actors: ReadonlyMap<Oid, Actors>,
  { replicaRole }: { replicaRole: boolean },
): Finding[] {
  const of = ({ target }: TablePair): Actors | undefined => (target ? actors.get(target.oid) : undefined);
  const findings: Finding[] = [];
  for (const pair of pairs) {
    const always = of(pair)?.always ?? [];
    const [first] = always;
    if (first === undefined) continue;
    findings.push(
      complaint('warning', 'target', 'TARGET_TRIGGERS', {
        table: pair.name,
        message: `${always.length === 1 ? 'Trigger' : 'Triggers'} ${some(always)} of ${displayName(pair.mapping.target)} fire for replicated rows too, so its changes are applied one by one.`,
        remedy: `Nothing, if that is meant. Else on the target: ALTER TABLE ${quoteRelation(pair.mapping.target)} ENABLE TRIGGER "${first.replaceAll('"', '""')}";`,
      }),
    );
  }
  if (!replicaRole) findings.push(...checked(pairs, of));
  if (findings.length > 0) return findings;
  return [fine('target', 'TARGET_TRIGGERS', 'No trigger or foreign key of the target acts on replicated rows.')];
}

// Without session_replication_role = replica the target behaves as for any other client.
function checked(pairs: readonly TablePair[], of: (pair: TablePair) => Actors | undefined): Finding[] {
  const firing = pairs.filter((pair) => (of(pair)?.ordinary.length ?? 0) > 0);
  const linked = pairs.filter((pair) => (of(pair)?.foreignKeys ?? 0) > 0);
  const remedy = 'Let the role set session_replication_role, or drop them on the target: the source has seen to both already.';
  return [
    ...(firing.length === 0
      ? []
      : [
          complaint('warning', 'target', 'TARGET_TRIGGERS', {
            ...oneTable(firing),
            message: `Triggers of ${tables(firing.length)} of the target fire for replicated rows (${some(firing.map(({ name }) => name))}).`,
            remedy,
          }),
        ]),
    ...(linked.length === 0
      ? []
      : [
          complaint('warning', 'target', 'TARGET_TRIGGERS', {
            ...oneTable(linked),
            message: `Foreign keys of ${tables(linked.length)} of the target are checked for replicated rows (${some(linked.map(({ name }) => name))}): they may refuse what the source accepted.`,
            remedy,
          }),
        ]),
  ];
}

/** So many tables are looked into with one statement. */
const TABLES_A_QUERY = 100;

/** Which of the targets hold rows. Reads at most one row of each. Those that cannot be read are given to `unread`. */
export async function readFilled(
  target: Client,
  pairs: readonly TablePair[],
  unread: (finding: Finding, pair: TablePair) => void,
): Promise<Set<string>> {
  const filled = new Set<string>();
  for (let at = 0; at < pairs.length; at += TABLES_A_QUERY)
    for (const name of await filledOf(target, pairs.slice(at, at + TABLES_A_QUERY), unread)) filled.add(name);
  return filled;
}

async function filledOf(
  target: Client,
  pairs: readonly TablePair[],
  unread: (finding: Finding, pair: TablePair) => void,
): Promise<string[]> {
  const looks = pairs.map(
    ({ target: relation }, nth) => `(${nth}, EXISTS (SELECT FROM ${relation ? quoteRelation(relation) : ''}))`,
  );
  try {
    const { rows } = await target.query<{ nth: number }>(
      `SELECT nth FROM (VALUES ${looks.join(', ')}) v (nth, filled) WHERE filled`,
    );
    return rows.map(({ nth }) => pairs[nth]?.name ?? '');
  } catch (error) {
    if (sqlState(error) === null) throw error;
    const [pair, ...others] = pairs;
    if (!pair || others.length > 0) {
      const each = [];
      for (const one of pairs) each.push(...(await filledOf(target, [one], unread)));
      return each;
    }
    unread(notRead(pair, error), pair);
    return [];
  }
}

function notRead({ name, mapping }: TablePair, error: unknown): Finding {
  return complaint('warning', 'target', 'CHECK_FAILED', {
    table: name,
    message: `Whether ${displayName(mapping.target)} on the target holds rows could not be found out: ${reasonOf(error)}`,
    remedy: partitionRefusal(error)?.remedy ?? 'Let the role of target.url do what the message names, or look at it yourself.',
  });
}

/** Tables that are still to be copied. */
export function uncopied(
  pairs: readonly TablePair[],
  { tables, copied }: { tables: readonly StoredTable[]; copied: ReadonlySet<string> },
): TablePair[] {
  const filled = new Set(tables.filter(({ hasRows }) => hasRows).map(({ source }) => displayName(source)));
  return pairs.filter(({ name, target }) => target !== null && !filled.has(name) && !copied.has(name));
}

/** Pure: what snapshot.existingRows means for the target tables that hold rows. */
export function classifyExistingRows(config: Config, concerned: readonly TablePair[], filled: ReadonlySet<string>): Finding[] {
  if (concerned.length === 0) return [];
  const full = concerned.filter(({ name }) => filled.has(name));
  if (full.length === 0) return [fine('target', 'EXISTING_ROWS', 'The target tables that are to be filled are empty.')];
  const names = full.map(({ mapping }) => displayName(mapping.target));
  const { existingRows } = config.snapshot;
  if (existingRows === 'keep')
    return [
      fine(
        'target',
        'EXISTING_ROWS',
        `${tables(full.length)} of the target ${full.length === 1 ? 'holds' : 'hold'} rows, which stay (snapshot.existingRows: keep).`,
      ),
    ];
  if (existingRows === 'truncate') {
    return [
      complaint('warning', 'target', 'EXISTING_ROWS', {
        ...oneTable(full),
        message: `${tables(full.length)} of the target ${full.length === 1 ? 'holds' : 'hold'} rows, which the first copy replaces: ${some(names)}.`,
        remedy: 'Nothing, if that is meant. Else set snapshot.existingRows to keep.',
      }),
    ];
  }
  return [
    complaint('error', 'target', 'TARGET_TABLE_NOT_EMPTY', {
      ...oneTable(full),
      message: `${tables(full.length)} of the target already ${full.length === 1 ? 'holds' : 'hold'} rows: ${some(names)}.`,
      remedy: `Empty them (TRUNCATE ${full.map(({ mapping }) => quoteRelation(mapping.target)).join(', ')};), or set snapshot.existingRows to truncate (rows are replaced) or keep (they stay), or snapshot.copy to false when the data is there already.`,
    }),
  ];
}
