import type { Oid } from '../postgres/oid.ts';
import { quoteIdent, quoteRelation } from '../postgres/quote.ts';
import type { Relation, RelationName, UniqueIndex } from '../catalog/relation.ts';

type IdentityChoice =
  | { readonly kind: 'default' }
  | { readonly kind: 'index'; readonly index: string }
  | { readonly kind: 'full' };

/** A REPLICA IDENTITY to set on one table of the source. */
export interface IdentityChange {
  readonly relation: RelationName;
  readonly oid: Oid;
  readonly from: Relation['replicaIdentity'];
  readonly to: IdentityChoice;
  /** The statement, without semicolon. */
  readonly sql: string;
}

/**
 * What a table needs so that its UPDATEs and DELETEs are accepted, and can be followed, once it is published: nothing
 * where it has an identity; else its primary key, a unique index that is fit, or FULL. NOTHING is treated like no key.
 * `excluded` columns are not carried to the target, so rows could not be found there by an index over them.
 *
 * For a partitioned table pass its partitions of every level. It is the partition's identity that decides what is written
 * to WAL, and the root's that the stream announces: the WAL must hold at least what is announced, so under a root with
 * FULL every leaf needs FULL, and under a key every leaf the same key.
 * https://www.postgresql.org/docs/current/sql-altertable.html#SQL-ALTERTABLE-REPLICA-IDENTITY
 */
export function planReplicaIdentity(
  relation: Relation,
  partitions: readonly Relation[] = [],
  excluded: readonly string[] = [],
): IdentityChange[] {
  const own = hasIdentity(relation) ? null : chooseIdentity(relation, excluded);
  const changes = own ? [change(relation, own)] : [];
  if (relation.kind === 'table') return changes;

  const announced = identityAfter(relation, own);
  for (const leaf of partitions) {
    if (leaf.kind !== 'table' || leaf.persistence !== 'permanent' || leaf.replicaIdentity === 'full') continue;
    if (announced === 'full') {
      changes.push(change(leaf, { kind: 'full' }));
    } else if (!announced.every((name) => leaf.identityColumns.includes(name))) {
      changes.push(change(leaf, sameKey(leaf, announced)));
    }
  }
  return changes;
}

/** Whether UPDATE and DELETE are accepted on a published table; CheckCmdReplicaIdentity() in execReplication.c. */
export function hasIdentity(relation: Relation): boolean {
  return relation.replicaIdentity === 'full' || relation.identityColumns.length > 0;
}

function chooseIdentity(relation: Relation, excluded: readonly string[]): IdentityChoice {
  const fit = relation.uniqueIndexes.filter((each) => each.identifies && !each.columns.some((name) => excluded.includes(name)));
  const [index] = fit.sort(primaryFirstThenNarrow);
  if (!index) return { kind: 'full' };
  return index.primary ? { kind: 'default' } : { kind: 'index', index: index.name };
}

function primaryFirstThenNarrow(a: UniqueIndex, b: UniqueIndex): number {
  return Number(b.primary) - Number(a.primary) || a.columns.length - b.columns.length || (a.name < b.name ? -1 : 1);
}

/** The columns that the stream announces as key once the choice is made. */
function identityAfter(relation: Relation, choice: IdentityChoice | null): readonly string[] | 'full' {
  if (choice === null) return relation.replicaIdentity === 'full' ? 'full' : relation.identityColumns;
  if (choice.kind === 'full') return 'full';
  const index = relation.uniqueIndexes.find((each) => (choice.kind === 'default' ? each.primary : each.name === choice.index));
  return index?.columns ?? [];
}

function sameKey(leaf: Relation, key: readonly string[]): IdentityChoice {
  const index = leaf.uniqueIndexes.find(
    (each) => each.identifies && each.columns.length === key.length && key.every((name) => each.columns.includes(name)),
  );
  if (!index) return { kind: 'full' };
  return index.primary ? { kind: 'default' } : { kind: 'index', index: index.name };
}

function change(relation: Relation, to: IdentityChoice): IdentityChange {
  const clause = to.kind === 'index' ? `USING INDEX ${quoteIdent(to.index)}` : to.kind.toUpperCase();
  return {
    relation: { schema: relation.schema, name: relation.name },
    oid: relation.oid,
    from: relation.replicaIdentity,
    to,
    sql: `ALTER TABLE ONLY ${quoteRelation(relation)} REPLICA IDENTITY ${clause}`,
  };
}
