import { setTimeout as sleep } from 'node:timers/promises';
import type { Client } from 'pg';
import { setSequences } from '../apply/set-sequences.ts';
import type { Applied } from '../apply/run.ts';
import { displayName } from '../catalog/relation.ts';
import {
  pairSequences,
  readSequences,
  readSequenceUses,
  readSequenceValues,
  readUnusedSequences,
  type Sequence,
  type SequencePair,
  type SequencePlace,
} from '../catalog/sequences.ts';
import type { SequenceFault, SequencesBrought } from '../observe/status.ts';
import type { Oid } from '../postgres/oid.ts';
import { quoteRelation } from '../postgres/quote.ts';
import { describeError, SQLSTATE, sqlState } from '../postgres/sqlstate.ts';
import { Problem } from '../problem.ts';
import { on } from './blame.ts';
import type { TableSet } from './table-set.ts';

/** Where rows have come, sequences have moved: they are read this long after the last time. */
const AFTER_ROWS_MS = 3000;
/** Everything is looked at anew so often: sequences that moved without rows, and whichever there are now. */
const ANEW_MS = 60_000;
const LOOK_MS = 500;

export interface SequenceOptions {
  readonly source: Client;
  readonly target: Client;
  readonly tables: TableSet;
  /** False: sequences are left alone. */
  readonly on: boolean;
  readonly observer: { brought(result: SequencesBrought): void };
}

/**
 * Keeps the target's sequences as far as the source's, those that followed tables take values from: they are not in the
 * stream. Read every few seconds while rows come, hardly ever on an idle database, and when somebody asks. A sequence only
 * ever moves on, so being early does no harm.
 */
export class SequenceKeeper {
  readonly #options: SequenceOptions;
  #pairs: readonly SequencePair[] | null = null;
  /** What the source's sequence was when the target was set to it. */
  readonly #known = new Map<Oid, string>();
  #rowsCame = true;
  #lookedAt = 0;
  #anewAt = 0;
  #turn: Promise<unknown> = Promise.resolve();

  constructor(options: SequenceOptions) {
    this.#options = options;
  }

  /** After every batch. */
  batch(applied: Applied): void {
    if (applied.rows > 0) this.#rowsCame = true;
    for (const counts of applied.perTable.values()) {
      if (counts.truncate === 0) continue;
      // RESTART IDENTITY has set some of the target's back.
      this.#rowsCame = true;
      this.#known.clear();
    }
  }

  /** The set of tables is another one. */
  tablesChanged(): void {
    this.#pairs = null;
    this.#rowsCame = true;
  }

  /** Brings all of them over now. Throws NOT_POSSIBLE_NOW while somebody holds a lock on one, or drops it. */
  async bringNow(): Promise<SequencesBrought> {
    try {
      return await this.#inTurn(() => this.#bring({ anew: true }));
    } catch (error) {
      if (!passes(error)) throw error;
      throw new Problem('NOT_POSSIBLE_NOW', 'Another session holds a lock on a sequence, or has just dropped it.', {
        retry: 'transient',
        remedy: 'Try again in a moment.',
        cause: error,
      });
    }
  }

  async keep(signal: AbortSignal): Promise<void> {
    while (this.#options.on) {
      await sleep(LOOK_MS, null, { signal }).catch(() => {});
      if (signal.aborted) return;
      const anew = Date.now() - this.#anewAt >= ANEW_MS;
      if (!anew && !(this.#rowsCame && Date.now() - this.#lookedAt >= AFTER_ROWS_MS)) continue;
      try {
        await this.#inTurn(() => this.#bring({ anew }));
      } catch (error) {
        if (signal.aborted) return;
        // Its turn comes again.
        if (!passes(error)) throw error;
        this.tablesChanged();
      }
    }
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#turn.then(work, work);
    this.#turn = turn.catch(() => {});
    return turn;
  }

  async #bring({ anew }: { anew: boolean }): Promise<SequencesBrought> {
    const { target, observer } = this.#options;
    this.#lookedAt = Date.now();
    this.#rowsCame = false;
    if (anew) {
      this.#anewAt = this.#lookedAt;
      this.#pairs = null;
      this.#known.clear();
    }
    this.#pairs ??= await this.#findPairs();
    const pairs = this.#pairs;
    const readable = pairs.filter((pair) => pair.source.readable);
    const places = await this.#readPlaces(uniqueSequences(readable.map((pair) => pair.source)), { unused: anew });
    const moved = readable.flatMap((pair) => {
      const place = places.get(pair.source.oid);
      return place === undefined || this.#known.get(pair.source.oid) === place.value ? [] : [{ pair, place }];
    });
    const refusals = await passingOn(
      'target',
      setSequences(
        target,
        moved.map(({ pair, place }) => ({ sequence: pair.target, place })),
      ),
    );
    // The first value that is given is the same.
    for (const { pair, place } of moved) if (place.given) this.#known.set(pair.source.oid, place.value);
    const refused = new Map(refusals.map(({ sequence, error }) => [sequence.oid, error]));
    const faults = pairs.flatMap((pair) => {
      if (!pair.source.readable) return [cannotRead(pair)];
      const error = refused.get(pair.target.oid);
      return error === undefined ? [] : [cannotSet(pair, error)];
    });
    // Those that were refused are tried again.
    for (const pair of pairs) if (refused.has(pair.target.oid)) this.#known.delete(pair.source.oid);
    const result = { followed: pairs.length, faults };
    if (anew || moved.length > 0) observer.brought(result);
    return result;
  }

  // One that has not given a value has hardly ever moved, and takes a look of its own.
  async #readPlaces(sequences: readonly Sequence[], { unused }: { unused: boolean }): Promise<Map<Oid, SequencePlace>> {
    if (sequences.length === 0) return new Map();
    const { source } = this.#options;
    const oids = sequences.map(({ oid }) => oid);
    const values = await passingOn('source', readSequenceValues(source, oids));
    const places = new Map<Oid, SequencePlace>();
    for (const [oid, value] of values) places.set(oid, { value, given: true });
    const others = unused ? sequences.filter(({ oid }) => !values.has(oid)) : [];
    for (const [oid, place] of await passingOn('source', readUnusedSequences(source, others))) places.set(oid, place);
    return places;
  }

  async #findPairs(): Promise<SequencePair[]> {
    const { source, target, tables } = this.#options;
    const mappings = tables.all.filter((table) => table.hasRows).map((table) => table.mapping);
    if (mappings.length === 0 || !this.#options.on) return [];
    const here = await on(
      'source',
      readSequenceUses(
        source,
        mappings.map((mapping) => mapping.source),
      ),
    );
    if (here.length === 0) return [];
    const there = await on(
      'target',
      readSequenceUses(
        target,
        mappings.map((mapping) => mapping.target),
      ),
    );
    const named = await on('target', readSequences(target, uniqueSequences(here.map((use) => use.sequence))));
    return pairSequences(mappings, { source: here, target: there, named });
  }
}

function uniqueSequences(sequences: readonly Sequence[]): Sequence[] {
  return [...new Map(sequences.map((sequence) => [sequence.oid, sequence])).values()];
}

// A lock; or a sequence that was dropped while we waited for it ("could not open relation with OID").
function passes(error: unknown): boolean {
  const state = sqlState(error);
  return state === SQLSTATE.lock_not_available || state === SQLSTATE.undefined_table || state === SQLSTATE.internal_error;
}

// What passes is no reason to begin a new session.
async function passingOn<T>(role: 'source' | 'target', work: Promise<T>): Promise<T> {
  let passing: unknown = null;
  const result = await on(
    role,
    work.catch((error: unknown) => {
      if (!passes(error)) throw error;
      passing = error;
      return null;
    }),
  );
  if (passing !== null) throw passing;
  return result as T;
}

function cannotRead({ table, source }: SequencePair): SequenceFault {
  return {
    table,
    message: `Sequence ${displayName(source)} of ${table} is not followed: the source role may not read it.`,
    remedy: `Run on the source:\nGRANT SELECT ON SEQUENCE ${quoteRelation(source)} TO <role>;`,
  };
}

function cannotSet({ table, target }: SequencePair, error: unknown): SequenceFault {
  const right = sqlState(error) === SQLSTATE.insufficient_privilege;
  return {
    table,
    message: `Sequence ${displayName(target)} on the target, where values of ${table} come from, could not be set: ${describeError(error)}`,
    remedy: right
      ? `Run on the target:\nGRANT SELECT, UPDATE ON SEQUENCE ${quoteRelation(target)} TO <role>;`
      : `Make the sequence take the value: ALTER SEQUENCE ${quoteRelation(target)} on the target, its type, MINVALUE and MAXVALUE as on the source. It is tried again by itself.`,
  };
}
