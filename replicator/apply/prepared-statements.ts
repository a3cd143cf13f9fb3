import type { Oid } from '../postgres/oid.ts';
import type { StatementPipe } from '../postgres/statement-pipe.ts';
import type { RowMap } from './row-map.ts';

/**
 * What a session may keep of one kind, counted in parameters and a few for each statement. Each takes some 1 kB of the server's memory in a statement for
 * one row, and 3 kB in one for many (PostgreSQL 18): 80 MB at most of both, and enough for all statements of several hundred tables. Beyond that all are
 * forgotten and prepared again as needed.
 */
const MOST_KEPT = 20_000;
const KEPT_BY_EACH = 8;

/** A statement that can be prepared: parameters have numbers, and these types. */
export interface Preparable {
  readonly sql: string;
  readonly types: readonly Oid[];
}

export interface Prepared<T extends Preparable> {
  readonly name: string;
  readonly statement: T;
}

/** Statements that a session of the target has prepared, each for a table and a shape: operation and columns. */
export class PreparedStatements<T extends Preparable> {
  readonly #kind: string;
  #byMap = new Map<RowMap, Map<string, Prepared<T>>>();
  #kept = 0;
  #named = 0;
  /** Names that the server may still hold; to close one that it does not is no error. */
  #forgotten: string[] = [];

  /** `kind` begins the names: those of one session differ. */
  constructor(kind: string) {
    this.#kind = kind;
  }

  /** The table's statement of this shape, made and prepared where it is not known. */
  of(pipe: Pick<StatementPipe, 'parse' | 'close'>, map: RowMap, shape: string, make: () => T): Prepared<T> {
    const known = this.#byMap.get(map)?.get(shape);
    if (known) return known;
    if (this.#kept >= MOST_KEPT) this.forget();
    for (const name of this.#forgotten.splice(0)) pipe.close(name);
    const prepared = { name: `${this.#kind}${++this.#named}`, statement: make() };
    pipe.parse(prepared.name, prepared.statement.sql, prepared.statement.types);
    const ofMap = this.#byMap.get(map) ?? new Map<string, Prepared<T>>();
    this.#byMap.set(map, ofMap.set(shape, prepared));
    this.#kept += KEPT_BY_EACH + prepared.statement.types.length;
    return prepared;
  }

  /** Forgets all: tables may be others than they were, or after a failed pipe nobody knows how far its Parse messages got. */
  forget(): void {
    for (const ofMap of this.#byMap.values()) for (const { name } of ofMap.values()) this.#forgotten.push(name);
    this.#byMap = new Map();
    this.#kept = 0;
  }
}
