import type { Route } from '../apply/route.ts';
import { displayName, type Relation } from '../catalog/relation.ts';
import { takesChanges } from '../metadata/table-state.ts';
import type { Oid } from '../postgres/oid.ts';
import type { StreamRelation } from '../pgoutput/messages.ts';
import type { FollowedTable } from './followed-table.ts';

/** What a table is by what was resolved anew; where it stands is known here. */
export function takeOver(known: FollowedTable, fresh: FollowedTable): FollowedTable {
  const { mapping, source, target, columns, membership, places, mappedAs, partitions, putOff, partial, unbuilt, foreignKeys } =
    fresh;
  // With its rows there nobody has created it in between.
  return Object.assign(known, {
    replaced: null,
    mapping,
    source,
    target,
    columns,
    membership,
    places,
    mappedAs,
    partitions,
    putOff,
    partial,
    ...(known.hasRows ? {} : { unbuilt, foreignKeys }),
  });
}

/** For so long after a session has read the target's tables they are taken to be what they were. */
const FRESH_MS = 1000;

/** The tables that are followed now, as a session that begins has just read them. */
export class TableSet {
  #all: readonly FollowedTable[] = [];
  #byName = new Map<string, FollowedTable>();
  #byOid = new Map<Oid, FollowedTable>();
  /** Target tables that were complete when the session began: the first change of each need not wait for the catalog again. */
  readonly #fresh: Map<FollowedTable, Relation>;
  readonly #readAt = performance.now();
  readonly #strangers = new Set<Oid>();
  readonly #met = new WeakSet<StreamRelation>();
  /** Names of the columns of each relation, as the stream has described them last. */
  readonly #described = new Map<Oid, string>();

  constructor(tables: readonly FollowedTable[]) {
    this.#index(tables);
    const complete = tables.filter((table) => table.hasRows && !table.unbuilt && !table.spooling);
    this.#fresh = new Map(complete.flatMap((table) => (table.target ? [[table, table.target]] : [])));
  }

  /** The same array until the set is another one: with thousands of tables it is looked at all the time. */
  get all(): readonly FollowedTable[] {
    return this.#all;
  }

  get(name: string): FollowedTable | null {
    return this.#byName.get(name) ?? null;
  }

  /**
   * Takes over what was resolved anew: tables that stay are the same objects, with the same standing, so that whoever
   * works on one goes on with it. A table that has the name of another one is another object.
   */
  replace(resolved: readonly FollowedTable[]): void {
    const next = resolved.map((table) => {
      const known = this.#byName.get(table.name);
      return known && !table.replaced ? takeOver(known, table) : table;
    });
    this.#index(next);
  }

  /**
   * By OID, which a rename leaves as it is. Another table under a followed name is no table of ours: not yet, where it has just come to
   * the name, or not any more. It is copied as of a later state, or its rows were.
   */
  route(relation: StreamRelation): Route {
    const table = this.#byOid.get(relation.oid);
    if (!table) return { to: 'nowhere' };
    const { mapping, columns } = table;
    if (table.spooling) return { to: 'spool', mapping };
    if (!takesChanges(table.progress.state)) return { to: 'nowhere' };
    const target = this.#takeFresh(table);
    return { to: 'table', mapping, columns, ...(target ? { target } : {}) };
  }

  /**
   * The followed table whose name stands for another one in the stream than is known here, else null. Given once for each: a look at
   * the catalog, which is ahead of the stream, tells which of the two came later.
   */
  displacedBy(relation: StreamRelation): FollowedTable | null {
    if (this.#byOid.has(relation.oid) || this.#strangers.has(relation.oid)) return null;
    const table = this.#byName.get(displayName(relation));
    if (!table) return null;
    this.#strangers.add(relation.oid);
    return table;
  }

  /** Whether the stream describes a followed table with other columns than the last time. Given once for each. */
  isAltered(relation: StreamRelation): boolean {
    const { oid, columns } = relation;
    if (this.#met.has(relation) || !this.#byOid.has(oid)) return false;
    this.#met.add(relation);
    const names = columns.map(({ name }) => name).join('\0');
    const before = this.#described.get(oid) ?? names;
    this.#described.set(oid, names);
    return before !== names;
  }

  // Once: who asks again has a reason to.
  #takeFresh(table: FollowedTable): Relation | null {
    const target = performance.now() - this.#readAt < FRESH_MS ? this.#fresh.get(table) : undefined;
    this.#fresh.delete(table);
    return target ?? null;
  }

  #index(tables: readonly FollowedTable[]): void {
    this.#byName = new Map(tables.map((table) => [table.name, table]));
    this.#all = [...this.#byName.values()];
    this.#byOid = new Map(tables.map((table) => [table.source.oid, table]));
  }
}
