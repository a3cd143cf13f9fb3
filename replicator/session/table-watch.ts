import { setTimeout as sleep } from 'node:timers/promises';
import type { Applier } from '../apply/applier.ts';
import type { Config } from '../config/schema.ts';
import { connect, destroySocket, disconnect } from '../postgres/connect.ts';
import { Problem } from '../problem.ts';
import { catalogFingerprint } from '../source/fingerprint.ts';
import { on } from './blame.ts';
import type { Boundary } from './boundary.ts';
import type { Ends } from './ends.ts';
import type { FollowedTable } from './followed-table.ts';
import { binaryForStream, resolveFollowedTables, type ResolvedPipelineTables } from './followed-tables.ts';
import { Milestone } from './milestone.ts';
import { publishTables, type Publishing } from './publish-tables.ts';
import type { RetryClock } from './retry-clock.ts';
import { takeOver, type TableSet } from './table-set.ts';

/** How often it is looked whether the source has other tables than before. */
const WATCH_MS = 2000;
const LOOK_MS = 500;

export interface TableWatchOptions {
  readonly config: Config;
  readonly ends: Ends;
  readonly tables: TableSet;
  readonly clock: RetryClock;
  readonly applier: Applier;
  readonly boundary: Boundary;
  readonly versions: { readonly sourceVersion: number; readonly targetVersion: number };
  /** Of the source's catalog as it was before the tables were resolved: what has changed since is not missed. */
  readonly fingerprint: string;
  /** The stream sends binary values; it cannot be told otherwise while it runs. */
  readonly binary: boolean;
}

export interface TableWatchObserver {
  /** The set of tables, or what they are, is another one. */
  changed(resolved: ResolvedPipelineTables, publishing: Publishing): void;
}

/**
 * Looks whether the source has other tables than before while the stream goes on: then they are resolved and published anew, and take the
 * place of those that were followed, between two batches.
 */
export class TableWatch {
  readonly #options: TableWatchOptions;
  readonly #observer: TableWatchObserver;
  #rescan = false;
  #nextLook = new Milestone();

  constructor(options: TableWatchOptions, observer: TableWatchObserver) {
    this.#options = options;
    this.#observer = observer;
  }

  /** Looks at the source's tables at once, whatever the fingerprint says. What is given is reached when that counts. */
  rescan(): Milestone {
    this.#rescan = true;
    return this.#nextLook;
  }

  async run(signal: AbortSignal): Promise<void> {
    const { ends } = this.#options;
    let seen = this.#options.fingerprint;
    for (let at = Date.now(); !signal.aborted;) {
      await sleep(LOOK_MS, null, { signal }).catch(() => {});
      if (signal.aborted) return;
      if (!this.#rescan && !this.#isPutOffDue()) {
        if (Date.now() - at < WATCH_MS) continue;
        at = Date.now();
        const now = await on('source', catalogFingerprint(ends.source, ends.sourceIdentity.version));
        if (now === seen) continue;
        seen = now;
      }
      this.#rescan = false;
      const look = this.#nextLook;
      this.#nextLook = new Milestone();
      await this.#scan(signal);
      look.reach();
    }
  }

  #isPutOffDue(): boolean {
    const { tables, clock } = this.#options;
    return tables.all.some(({ putOff }) => putOff.some((key) => clock.due(key)));
  }

  async #scan(signal: AbortSignal): Promise<void> {
    const { config, ends } = this.#options;
    const settings = { synchronous_commit: 'local' };
    const source = await on(
      'source',
      connect({ role: 'source', url: config.source.url, purpose: `${config.name} tables`, settings }),
    );
    const cut = (): void => destroySocket(source);
    signal.addEventListener('abort', cut, { once: true });
    try {
      const publication = config.publication.names[0] ?? config.name;
      const row = { ...ends.row, snapshotFinished: true, publicationCreated: true, publication };
      await this.#resolve(signal, { ...ends, source, row });
    } catch (error) {
      if (signal.aborted) return;
      throw error;
    } finally {
      signal.removeEventListener('abort', cut);
      await disconnect(source);
    }
  }

  async #resolve(signal: AbortSignal, ends: Ends): Promise<void> {
    const { config, tables, clock, boundary, applier, versions, binary } = this.#options;
    const resolved = await resolveFollowedTables(ends, config, {
      sourceVersion: versions.sourceVersion,
      copyAhead: false,
      clock,
      signal,
    });
    // Those that stay keep their standing, except that what failed may be tried again.
    const now = resolved.tables.map((fresh) => this.#merge(fresh));
    // Before anything of it is stored: what is stored of them must come after all that is stored of those whose place they take.
    const kept = new Set(now);
    for (const table of tables.all) if (!kept.has(table)) table.superseded = true;
    const merged = { ...resolved, tables: now };
    const publishing = await publishTables(ends, config, merged);
    if (binary && !binaryForStream(now, versions)) throw streamInText();
    await boundary.at(
      async () => {
        tables.replace(now);
        applier.reroute();
      },
      { whilePaused: true },
    );
    for (const table of now)
      if (!table.hasRows && table.progress.state === 'error' && clock.due(table.name)) clock.failed(table.name);
    this.#observer.changed(merged, publishing);
  }

  #merge(fresh: FollowedTable): FollowedTable {
    const known = this.#options.tables.get(fresh.name);
    if (!known || fresh.replaced) return fresh;
    takeOver(known, fresh);
    if (known.hasRows || known.spooling || known.progress.state !== 'error' || !this.#options.clock.due(known.name)) return known;
    known.progress = fresh.progress;
    return known;
  }
}

function streamInText(): Problem {
  return new Problem('SOURCE_UNREACHABLE', 'The stream begins again, because values of a table must travel as text now.', {
    retry: 'transient',
    remedy: 'Nothing to do.',
  });
}
