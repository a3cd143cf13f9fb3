import type { Relation } from '../catalog/relation.ts';
import { quoteRelation } from '../postgres/quote.ts';
import { hasIdentity, type IdentityChange } from './replica-identity.ts';

export interface WriteFault {
  readonly message: string;
  readonly remedy: string;
}

/** A table as it is going to be published. */
export interface Publishing {
  readonly relation: Relation;
  readonly partitions: readonly Relation[];
  /** Replica identities that are set before. */
  readonly plan: readonly IdentityChange[];
  /** What the row filter reads. */
  readonly filterColumns: readonly string[];
}

export interface PublishedAs {
  /** server_version_num. */
  readonly sourceVersion: number;
  readonly generatedColumnsSent: 'none' | 'stored';
}

/**
 * Why the server would refuse UPDATE and DELETE on a published table, else null: the rules of CheckCmdReplicaIdentity() in
 * execReplication.c. The server's own word counts; this is for where it cannot be asked, and to know what helps.
 */
export function writeFault({ relation, partitions, plan, filterColumns }: Publishing, published: PublishedAs): WriteFault | null {
  const planned = new Map(plan.map((change) => [change.oid, change.to]));
  const written = relation.kind === 'table' ? [relation] : partitions.filter((leaf) => leaf.kind === 'table');
  for (const table of written) {
    const choice = planned.get(table.oid);
    const full = choice ? choice.kind === 'full' : table.replicaIdentity === 'full';
    const key = choice ? keyOf(table, choice.kind === 'index' ? choice.index : null) : table.identityColumns;
    if (!full && !choice && !hasIdentity(table)) {
      return { message: 'it has no replica identity', remedy: `ALTER TABLE ${quoteRelation(table)} REPLICA IDENTITY FULL;` };
    }
    const unpublished = unpublishedGenerated(table, full ? null : key, published);
    if (unpublished.length > 0) {
      return {
        message: `its replica identity holds the generated column ${unpublished.join(', ')}, which is not published`,
        remedy: `Give it a key: ALTER TABLE ${quoteRelation(table)} ADD PRIMARY KEY (…); or a unique index on NOT NULL columns, which is then used by itself.`,
      };
    }
    const unknown = full ? [] : filterColumns.filter((name) => !key.includes(name));
    if (unknown.length > 0) {
      return {
        message: `its row filter uses ${unknown.join(', ')}, which the replica identity does not hold`,
        remedy: `ALTER TABLE ${quoteRelation(table)} REPLICA IDENTITY FULL;`,
      };
    }
  }
  return null;
}

function keyOf(table: Relation, index: string | null): readonly string[] {
  return table.uniqueIndexes.find((each) => (index === null ? each.primary : each.name === index))?.columns ?? [];
}

/** Since PostgreSQL 18; `key` null means every column. */
function unpublishedGenerated(table: Relation, key: readonly string[] | null, published: PublishedAs): string[] {
  if (published.sourceVersion < 180000) return [];
  return table.columns
    .filter(
      (column) => column.generated === 'virtual' || (column.generated === 'stored' && published.generatedColumnsSent === 'none'),
    )
    .filter((column) => key === null || key.includes(column.name))
    .map((column) => column.name);
}
