import type { Client } from 'pg';
import { displayName, type RelationName } from '../catalog/relation.ts';
import { storeCreated } from '../metadata/created-tables.ts';
import { nameEventTrigger } from '../postgres/event-triggers.ts';
import { describeError, isTransient, sqlState } from '../postgres/sqlstate.ts';
import { Problem } from '../problem.ts';
import { existingNames } from './existing-names.ts';
import type { Piece } from './piece.ts';

/** So many things a transaction of the target: each table holds locks until its end, and room for locks is small. */
const PIECES_A_TRANSACTION = 50;
/** Any number, the same in every pgfollow: two pipelines that need the same type make it one after the other. */
const CREATE_LOCK = 5_318_008_271_828_182n;

export interface Made {
  /** What was made, for people, in its order. */
  readonly labels: readonly string[];
  /** Followed tables that were made, by source name. */
  readonly tables: ReadonlySet<string>;
  /** Why tables could not be made, by source name. */
  readonly problems: ReadonlyMap<string, Problem>;
  /** Why anything could not be made, by the id of its piece. */
  readonly failures: ReadonlyMap<string, string>;
}

/**
 * Makes the pieces on the target, each in a savepoint, unless the target has it: what is there is left as it is. One that fails
 * leaves nothing behind and takes only those with it that need it. `target` is for this alone.
 */
export async function makePieces(target: Client, pipeline: string, pieces: readonly Piece[]): Promise<Made> {
  return await new Making(target, pipeline).make(pieces);
}

class Making {
  readonly #target: Client;
  readonly #pipeline: string;
  readonly #labels: string[] = [];
  readonly #tables = new Set<string>();
  readonly #problems = new Map<string, Problem>();
  /** Why a piece is not there, by its id. */
  readonly #failures = new Map<string, string>();
  /** What would bring what it lacks. */
  readonly #brings = new Map<string, string>();

  constructor(target: Client, pipeline: string) {
    this.#target = target;
    this.#pipeline = pipeline;
  }

  async make(pieces: readonly Piece[]): Promise<Made> {
    // Bodies of functions may name what is made later, or never.
    await this.#target.query('SET check_function_bodies = off');
    for (let at = 0; at < pieces.length; at += PIECES_A_TRANSACTION) {
      const some = pieces.slice(at, at + PIECES_A_TRANSACTION);
      if (await this.#together(some)) continue;
      await this.#begin();
      for (const piece of some) await this.#piece(piece);
      await this.#target.query('COMMIT');
    }
    return { labels: this.#labels, tables: this.#tables, problems: this.#problems, failures: this.#failures };
  }

  async #begin(): Promise<void> {
    await this.#target.query(`BEGIN; SELECT pg_catalog.pg_advisory_xact_lock(${CREATE_LOCK})`);
  }

  // Tables that are all missing and lack nothing, in one go, since there may be thousands. False, and nothing is done, where
  // one of them is refused, or is no such table.
  async #together(pieces: readonly Piece[]): Promise<boolean> {
    const tables = pieces.flatMap(({ table }) => (table ? [table] : []));
    if (tables.length < pieces.length || pieces.some(({ needs }) => needs.some((id) => this.#failures.has(id)))) return false;
    await this.#begin();
    try {
      const targets = tables.map(({ target }) => target);
      const free = (await existingNames(this.#target, targets)).size === 0;
      if (free) {
        await this.#target.query(pieces.flatMap(({ sql }) => sql ?? []).join(';\n'));
        await storeCreated(this.#target, this.#pipeline, targets);
      }
      await this.#target.query(free ? 'COMMIT' : 'ROLLBACK');
      if (!free) return false;
    } catch (error) {
      if (sqlState(error) === null || isTransient(error)) throw error;
      await this.#target.query('ROLLBACK');
      return false;
    }
    for (const { label } of pieces) this.#labels.push(label);
    for (const { source } of tables) this.#tables.add(displayName(source));
    return true;
  }

  async #piece(piece: Piece): Promise<void> {
    await this.#target.query('SAVEPOINT piece');
    try {
      if (!(await this.#isThere(piece))) await this.#create(piece);
      await this.#target.query('RELEASE SAVEPOINT piece');
    } catch (error) {
      if (sqlState(error) === null || isTransient(error)) throw error;
      await this.#target.query('ROLLBACK TO SAVEPOINT piece');
      await nameEventTrigger(this.#target, 'target', error);
      this.#fail(piece, describeError(error));
    }
  }

  async #isThere(piece: Piece): Promise<boolean> {
    await this.#target.query('SAVEPOINT look');
    const there = await isThere(this.#target, piece);
    if (!there) await this.#target.query('ROLLBACK TO SAVEPOINT look');
    return there;
  }

  async #create(piece: Piece): Promise<void> {
    const lacking = piece.needs.find((id) => this.#failures.has(id));
    if (lacking !== undefined) {
      const bring = this.#brings.get(lacking);
      if (bring !== undefined) this.#brings.set(piece.id, bring);
      return this.#fail(piece, this.#failures.get(lacking) ?? '');
    }
    if (piece.bring !== undefined) this.#brings.set(piece.id, piece.bring);
    if (piece.sql === null) return this.#fail(piece, `${piece.label} does not exist there, and pgfollow does not create it`);
    await this.#target.query(piece.sql.join(';\n'));
    this.#labels.push(piece.label);
    if (piece.table === null) return;
    await storeCreated(this.#target, this.#pipeline, [piece.table.target]);
    this.#tables.add(displayName(piece.table.source));
  }

  #fail(piece: Piece, reason: string): void {
    const why =
      piece.table || this.#failures.has(piece.id) || reason.startsWith(piece.label) ? reason : `${piece.label}: ${reason}`;
    this.#failures.set(piece.id, why);
    if (!piece.table) return;
    const table = displayName(piece.table.source);
    this.#problems.set(table, notCreated(table, piece.table.target, why, this.#brings.get(piece.id)));
  }
}

/** Whether the target has it. Where it has not, a transaction of the target is to be rolled back. */
export async function isThere(target: Client, { address: { type, names, args } }: Piece): Promise<boolean> {
  try {
    await target.query('SELECT pg_catalog.pg_get_object_address($1, $2, $3)', [type, names, args]);
    return true;
  } catch (error) {
    // No such thing, or none of the types of its arguments, or no such schema.
    if (/^(?:42|3F)/.test(sqlState(error) ?? '')) return false;
    throw error;
  }
}

/** A table that cannot be made for now. */
export function notCreated(table: string, target: RelationName, reason: string, bring?: string): Problem {
  const brought = bring === undefined ? '' : `\nTo bring it:\n${bring}`;
  return new Problem('SCHEMA_NOT_CREATED', `${table} could not be created on the target: ${reason}.`, {
    table,
    remedy:
      `Mend what the message names on the target, or create ${displayName(target)} yourself: it is tried again by itself. ` +
      `Or leave the table out with tables.exclude.${brought}`,
  });
}
