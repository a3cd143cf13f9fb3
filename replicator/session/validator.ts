import { setTimeout as sleep } from 'node:timers/promises';
import type { RelationName } from '../catalog/relation.ts';
import { readRelations } from '../catalog/read-relations.ts';
import { describeError } from '../postgres/sqlstate.ts';
import { Problem } from '../problem.ts';
import type { KnownFrom, UnseenCommit } from '../spool/old-commits.ts';
import { TableChanged, type Found } from '../validate/comparison.ts';
import { Side, TooLong } from '../validate/side.ts';
import { SourceClock } from '../validate/source-clock.ts';
import { validateTable, type TableFound } from '../validate/validate-table.ts';
import { commitWait, type CommitWait } from './commit-waits.ts';
import type { FollowedTable } from './followed-table.ts';
import type { FollowingSession } from './table-controls.ts';
import type { Tide } from './tide.ts';
import { openUnless } from './together.ts';

/** A table that was changed while it was compared is compared again, so often. */
const ATTEMPTS = 3;
const AGAIN_MS = 2000;
/** When nothing could be compared at the time for it. */
const SCHEDULE_AGAIN_MS = 60_000;
/** A timer can wait no longer. */
const LONGEST_SLEEP_MS = 2 ** 31 - 1;

/** What is told of comparisons. */
export interface ValidationObserver {
  begins(tables: readonly string[], by: string): void;
  starts(table: string): void;
  progress(table: string, found: Found): void;
  found(source: RelationName, found: TableFound): void;
  failed(table: string, reason: string): void;
  /** What the comparison of a table waits for, where that lasts; null when that is over. */
  waits(table: string, wait: CommitWait | null): void;
  ends(cancelledBy: string | null): void;
}

interface Run {
  readonly queue: string[];
  readonly cancel: AbortController;
}

/** What a session gives to compare tables by. */
export interface ValidationSession extends Pick<FollowingSession, 'ends' | 'config' | 'tables'> {
  readonly tide: Tide;
  readonly knownFrom: KnownFrom;
}

/**
 * Compares tables on both sides when it is asked to, one after the other, beside the stream and on connections of its own. A
 * comparison outlives sessions: the table that one was at is begun again in the next.
 */
export class Validator {
  readonly #observer: ValidationObserver;
  #run: Run | null = null;
  /** When the last one ended, or this process began; ms since 1970. */
  #lastMs = Date.now();
  #wake: () => void = () => {};

  constructor({ observer }: { observer: ValidationObserver }) {
    this.#observer = observer;
  }

  /** An earlier process compared last at this time, ms since 1970: the schedule goes on from there. */
  comparedBefore(atMs: number): void {
    this.#lastMs = Math.min(this.#lastMs, atMs);
  }

  /** Begins to compare these tables; all that stream where none are named. Throws NOT_POSSIBLE_NOW. */
  request({ tables, config }: Pick<FollowingSession, 'tables' | 'config'>, names: readonly string[], by: string): void {
    if (this.#run)
      throw notPossible(
        'Tables are being compared already.',
        'Wait for its end (GET /api/v1/validations shows it), or end it: `pgfollow validate --cancel`.',
      );
    if (config.origin === 'none')
      throw notPossible(
        'With origin: none rows are also written on the target, and come to the source later: they cannot be told from wrong ones.',
        'Compare while nobody writes to either side, by a dump of both.',
      );
    const asked = names.length > 0 ? names : tables.all.filter(canBeCompared).map(({ name }) => name);
    for (const name of asked) {
      const table = tables.get(name);
      if (!table) throw notPossible(`${name} is not followed.`, '`pgfollow tables` lists those that are.', name);
      if (!canBeCompared(table))
        throw notPossible(
          `${name} is ${table.progress.state}: only a table that streams can be compared.`,
          'Wait until it does, or mend what is in its way: `pgfollow tables`.',
          name,
        );
    }
    if (asked.length === 0) throw notPossible('No table streams yet.', 'Wait until they do: `pgfollow tables`.');
    this.#run = { queue: [...new Set(asked)], cancel: new AbortController() };
    this.#observer.begins(this.#run.queue, by);
    this.#wake();
  }

  /** Ends the comparison under way. Throws NOT_POSSIBLE_NOW where there is none. */
  cancel(by: string): void {
    if (!this.#run) throw notPossible('No tables are being compared.', 'Nothing needs to be done.');
    this.#end(this.#run, by);
  }

  /** Works until the signal aborts. Never rejects: what goes wrong is a table's result. */
  async loop(session: ValidationSession, signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const run = this.#run;
      const name = run?.queue[0];
      if (run && name === undefined) this.#end(run, null);
      else if (run && name !== undefined) await this.#compare(name, run, session, AbortSignal.any([signal, run.cancel.signal]));
      else await this.#rest(session, signal);
    }
  }

  // Until somebody asks for a comparison, or it is time for one.
  async #rest(session: ValidationSession, signal: AbortSignal): Promise<void> {
    const { interval } = session.config.validation;
    const dueIn = interval === null ? Infinity : this.#lastMs + interval - Date.now();
    if (interval !== null && dueIn <= 0) return this.#requestOnSchedule(session, interval);
    const woken = new AbortController();
    this.#wake = () => woken.abort();
    await sleep(Math.min(dueIn, LONGEST_SLEEP_MS), null, { signal: AbortSignal.any([signal, woken.signal]) }).catch(() => {});
  }

  #requestOnSchedule(session: ValidationSession, interval: number): void {
    this.#lastMs = Date.now();
    try {
      this.request(session, [], 'the schedule');
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      // No table streams yet, or nothing can be compared at all.
      this.#lastMs += Math.min(0, SCHEDULE_AGAIN_MS - interval);
    }
  }

  #end(run: Run, cancelledBy: string | null): void {
    this.#run = null;
    this.#lastMs = Date.now();
    run.cancel.abort(new Error('cancelled'));
    this.#observer.ends(cancelledBy);
  }

  async #compare(name: string, run: Run, session: ValidationSession, signal: AbortSignal): Promise<void> {
    this.#observer.starts(name);
    for (let attempt = 1; ; attempt++) {
      try {
        // A server that does not answer must not hold up the end of the session.
        const { source, found } = await openUnless(signal, this.#attempt(name, session, signal), () => {});
        if (signal.aborted) return;
        this.#observer.found(source, found);
        break;
      } catch (error) {
        if (signal.aborted) return;
        if (error instanceof TableChanged && attempt < ATTEMPTS) {
          await sleep(AGAIN_MS, null, { signal }).catch(() => {});
          continue;
        }
        this.#observer.failed(name, reasonOf(error));
        break;
      } finally {
        this.#observer.waits(name, null);
      }
    }
    run.queue.shift();
  }

  async #attempt(
    name: string,
    { ends, config, tables, tide, knownFrom }: ValidationSession,
    signal: AbortSignal,
  ): Promise<{ source: RelationName; found: TableFound }> {
    const table = tables.get(name);
    if (!table?.target || !canBeCompared(table)) throw new TableChanged();
    await using source = new Side({ role: 'source', url: config.source.url, purpose: `${config.name} validate` }, signal);
    await using target = new Side({ role: 'target', url: config.target.url, purpose: `${config.name} validate` }, signal);
    const standby = ends.sourceIdentity.inRecovery;
    const { role } = ends.sourceIdentity;
    const waits = (why: UnseenCommit | null): void => this.#observer.waits(name, why && commitWait(why, 'compared', role.name));
    const clock = new SourceClock({ side: source, stream: tide, standby, knownFrom, waits, signal });
    const { progress, mapping, columns } = table;
    const shape = shapeOf(table);
    // As they are now: the indexes of a table that we have made came after it.
    const [here] = await readRelations(ends.source, { names: [mapping.source] });
    const [there] = await readRelations(ends.target, { names: [mapping.target] });
    if (!here || !there) throw new TableChanged();
    const found = await validateTable(
      { mapping, source: here, target: there, columns },
      { source, target },
      {
        clock,
        stream: tide,
        // A copy, an error, another column: every step replaces what is known of the table.
        unchanged: () => tables.get(name) === table && table.progress === progress && !table.spooling && shapeOf(table) === shape,
        progress: (found) => this.#observer.progress(name, found),
        signal,
      },
    );
    return { source: mapping.source, found };
  }
}

/** All changes up to the position that the target has reached are in its table. */
function canBeCompared({ hasRows, spooling, progress, target }: FollowedTable): boolean {
  return hasRows && !spooling && progress.state === 'streaming' && target !== null;
}

function shapeOf({ mapping, columns }: FollowedTable): string {
  return JSON.stringify([
    mapping,
    columns.map(({ source, target }) => [source.name, source.typeText, target.name, target.typeText]),
  ]);
}

function reasonOf(error: unknown): string {
  if (error instanceof TableChanged) return 'It was copied again, changed or not followed for a while meanwhile.';
  if (error instanceof TooLong) return 'A few rows of it took longer than 10 s to read.';
  return describeError(error);
}

function notPossible(what: string, remedy: string, table?: string): Problem {
  return new Problem('NOT_POSSIBLE_NOW', what, { remedy, retry: 'transient', ...(table === undefined ? {} : { table }) });
}
