import type { Client } from 'pg';
import { readsHighChars } from '../catalog/binary.ts';
import type { ColumnPair } from '../catalog/match-target.ts';
import { readRelations } from '../catalog/read-relations.ts';
import type { Relation, RelationName, TableMapping } from '../catalog/relation.ts';
import type { Change, StreamRelation } from '../pgoutput/messages.ts';
import type { ArrayTypes } from './array-types.ts';
import type { Route } from './route.ts';
import { mapRows, type RowMap } from './row-map.ts';
import { knownColumns, refuseOtherTypes, type SourceCatalog } from './stream-types.ts';

export interface RoutesOptions {
  readonly client: Client;
  readonly arrays: ArrayTypes;
  /** The stream sends binary values. */
  readonly binary: boolean;
  readonly source: SourceCatalog;
  /** Where a relation's changes go. Asked once a relation, until forget(). */
  readonly routeOf: (relation: StreamRelation) => Route;
}

/**
 * Where the changes of each relation of the stream go, and how its rows become rows of the target. A relation that is new
 * in the stream, or has changed, is matched with the target as it is then: a column that was added there in time counts.
 */
export class Routes {
  readonly #options: RoutesOptions;
  readonly #maps = new Map<StreamRelation, RowMap | null>();
  /** Tables whose changes are kept, by what the stream calls them. */
  readonly #spooled = new Map<StreamRelation, RelationName>();
  readonly #fromSpool = new Map<StreamRelation, RowMap>();
  #version = 0;
  readonly #mapOf = (relation: StreamRelation): RowMap | null => this.#maps.get(relation) ?? null;

  constructor(options: RoutesOptions) {
    this.#options = options;
  }

  /** How often all was forgotten: what was worked out under another version no longer holds. */
  get version(): number {
    return this.#version;
  }

  /** The map of a relation that was learned, or null for one whose changes are not taken. */
  get mapOf(): (relation: StreamRelation) => RowMap | null {
    return this.#mapOf;
  }

  /** Whether changes of any table are kept for later. */
  get keepsSome(): boolean {
    return this.#spooled.size > 0;
  }

  /** The table whose spool a relation's changes go to, or null. */
  keptAs(relation: StreamRelation): RelationName | null {
    return this.#spooled.get(relation) ?? null;
  }

  /** Everything is asked anew. */
  forget(): void {
    this.#maps.clear();
    this.#spooled.clear();
    this.#fromSpool.clear();
    this.#version++;
  }

  /** What kept changes did not fit with is read anew. */
  forgetSpooled(): void {
    this.#fromSpool.clear();
  }

  /** Nothing of these changes has to be asked of the target. */
  knows(changes: readonly Change[]): boolean {
    return changes.every((change) =>
      change.kind === 'truncate' ? change.relations.every((each) => this.#maps.has(each)) : this.#maps.has(change.relation),
    );
  }

  /** Throws TARGET_TABLE_MISSING, TARGET_COLUMN_MISSING or TYPE_EXCHANGED. */
  async learn(changes: readonly Change[]): Promise<void> {
    for (const change of changes) {
      if (change.kind === 'truncate') for (const relation of change.relations) await this.#learn(relation);
      else if (!this.#maps.has(change.relation)) await this.#learn(change.relation);
    }
  }

  /** The maps for changes that come back from a table's spool, whose form may be another than the stream's now. */
  async learnSpooled(
    changes: readonly Change[],
    from: { mapping: TableMapping; columns: readonly ColumnPair[]; binary: boolean },
  ): Promise<(relation: StreamRelation) => RowMap | null> {
    for (const change of changes) {
      for (const relation of change.kind === 'truncate' ? change.relations : [change.relation]) {
        if (this.#fromSpool.get(relation)?.binary !== from.binary)
          this.#fromSpool.set(relation, await this.#map(relation, from, from.binary));
      }
    }
    return (relation) => this.#fromSpool.get(relation) ?? null;
  }

  async #learn(relation: StreamRelation): Promise<void> {
    if (this.#maps.has(relation)) return;
    const { routeOf, binary } = this.#options;
    const route = routeOf(relation);
    if (route.to === 'spool') this.#spooled.set(relation, route.mapping.source);
    this.#maps.set(relation, route.to === 'table' ? await this.#map(relation, route, binary) : null);
  }

  async #map(
    relation: StreamRelation,
    { mapping, columns, target: read }: { mapping: TableMapping; columns: readonly ColumnPair[]; target?: Relation },
    binary: boolean,
  ): Promise<RowMap> {
    const { client, arrays, source } = this.#options;
    const target = read ?? (await readRelations(client, { names: [mapping.target] }))[0];
    const known = await knownColumns(relation, { columns, binary }, this.#options);
    const map = mapRows(relation, mapping, target, { binary, known, octalChars: !readsHighChars(source.versions) });
    refuseOtherTypes(map, known, source.versions);
    const types = [...map.columns, ...map.find.columns].map((column) => column.parameterType);
    await arrays.learn(client, types);
    if (target && types.some((type) => arrays.of(type) === 0)) await arrays.learnRows(client, target.oid);
    return map;
  }
}
