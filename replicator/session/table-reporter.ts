import type { Logger } from 'pino';
import type { Applied } from '../apply/run.ts';
import { groupBy } from '../catalog/group-by.ts';
import { displayName } from '../catalog/relation.ts';
import type { StatusModel } from '../observe/model.ts';
import type { SequencesBrought, TableStatus } from '../observe/status.ts';
import type { Refusal } from '../schema/build-steps.ts';
import type { Difference } from '../metadata/shadows.ts';
import type { CopyTask } from '../snapshot/copy-table.ts';
import type { IdentityChange } from '../source/replica-identity.ts';
import { ConflictTally } from './conflicts.ts';
import type { CopyRoundsOptions } from './copy-rounds.ts';
import type { FollowedTable } from './followed-table.ts';
import type { Publishing } from './publish-tables.ts';
import type { ResolvedPipelineTables } from './followed-tables.ts';
import { leftShadow } from './left-shadow.ts';
import { mendedParts, RefusedKeys, refusedParts, type RefusalCode } from './refused-parts.ts';
import { TableErrors } from './table-errors.ts';
import type { Teller } from './teller.ts';
import { takenAsIs } from './taken-as-is.ts';
import { WaitTeller } from './wait-teller.ts';

const TAKEN_UP_ANEW: Readonly<Record<NonNullable<FollowedTable['replaced']>, { readonly code: string; readonly why: string }>> = {
  'by another': {
    code: 'TABLE_REPLACED',
    why: 'is another table on the source than before: it was made anew, or another one took its name.',
  },
  'not published': {
    code: 'TABLE_REPUBLISHED',
    why: 'was taken out of the publication and put back: what was written there meanwhile is missing on the target.',
  },
  'partition attached': {
    code: 'PARTITION_ATTACHED',
    why: 'has got a partition on the source that had rows already: these are not in the stream.',
  },
  'columns exchanged': {
    code: 'COLUMNS_EXCHANGED',
    why: 'has on the source another column under a name than before (dropped and made anew, or renamed): what rows hold there is not in the stream.',
  },
  'mapped otherwise': {
    code: 'TABLE_REMAPPED',
    why: 'is mapped otherwise by tables.map than when it was copied: the stream does not bring what its target lacks.',
  },
  'column filled': {
    code: 'COLUMN_FILLED',
    why: 'has got a column that rows which were there hold values in (a DEFAULT), which are not in the stream, and not those of the target.',
  },
};

/** The log names every row, so many a line. */
const CONFLICTS_A_LINE = 100;

export interface TableReporterOptions {
  readonly model: StatusModel;
  readonly teller: Teller;
  readonly log: Logger;
  /** A table has got somewhere. */
  readonly stands: (table: FollowedTable) => void;
  /** A table's rows were copied again, or it is no longer followed. */
  readonly replaced: (table: string) => void;
}

/** Turns what happens to single tables into status, events and log lines. */
export class TableReporter {
  readonly errors: TableErrors;
  readonly refusedKeys: RefusedKeys;
  readonly #model: StatusModel;
  readonly #teller: Teller;
  readonly #log: Logger;
  readonly #stands: TableReporterOptions['stands'];
  readonly #replaced: TableReporterOptions['replaced'];
  readonly #waits: WaitTeller;
  readonly #tally = new ConflictTally(Date.now);
  readonly #findingsTold = new Set<string>();
  /** What is in the way of sequences: message by table. */
  #sequenceFaults: ReadonlyMap<string, string> = new Map();

  constructor(options: TableReporterOptions) {
    this.errors = new TableErrors(options);
    this.refusedKeys = new RefusedKeys(options.model);
    this.#model = options.model;
    this.#teller = options.teller;
    this.#log = options.log;
    this.#waits = new WaitTeller(options);
    this.#stands = options.stands;
    this.#replaced = options.replaced;
  }

  /** The set of tables, at the beginning of a session and whenever it changes. What was told already is not told again. */
  prepared({ tables, findings, created, news }: ResolvedPipelineTables, publishing: Publishing): void {
    const { identityChanges: changes } = publishing;
    const names = new Set(tables.map((table) => table.name));
    this.errors.keepOnly(names);
    this.refusedKeys.keepOnly(names);
    for (const { source } of this.#model.followed.all()) if (!names.has(source)) this.#replaced(source);
    for (const { name, replaced } of tables) {
      if (!replaced) continue;
      this.#replaced(name);
      const { code, why } = TAKEN_UP_ANEW[replaced];
      this.#teller.tell({ level: 'warn', table: name, code, message: `${name} ${why} It is taken up like a new table.` });
    }
    if (publishing.news) this.#teller.tell({ level: 'warn', ...publishing.news });
    for (const each of news) this.#teller.tell({ level: 'warn', ...each });
    this.#model.followed.list(
      tables.map((table) => ({
        source: table.name,
        target: displayName(table.mapping.target),
        identity: identityOf(table, changes),
        state: table.progress.state,
        rowsEstimated: table.source.estimatedRows < 0 ? null : table.source.estimatedRows,
        error: table.progress.state === 'error' ? table.progress : null,
        ...(table.stored && {
          rowsCopied: table.stored.rowsCopied,
          bytesCopied: table.stored.bytesCopied,
          copyStartedAt: time(table.stored.copyStartedAt),
          copyFinishedAt: time(table.stored.copyFinishedAt),
        }),
      })),
    );
    for (const change of changes) {
      this.#teller.tell({
        level: 'info',
        table: displayName(change.relation),
        code: 'REPLICA_IDENTITY_SET',
        message: `Set on the source, so that UPDATE and DELETE of this table can be followed: ${change.sql}`,
      });
    }
    if (created.length > 0)
      this.#teller.tell({ level: 'info', code: 'SCHEMA_CREATED', message: `Created on the target: ${countedKinds(created)}.` });
    for (const finding of [...findings, ...publishing.kept]) {
      if (finding.level === 'ok' || this.#findingsTold.has(finding.message)) continue;
      this.#findingsTold.add(finding.message);
      this.#teller.tell({
        level: finding.level === 'error' ? 'error' : 'warn',
        code: 'TABLE_FINDING',
        message: finding.message,
        ...(finding.table === null ? {} : { table: finding.table }),
        ...(finding.remedy === null ? {} : { remedy: finding.remedy }),
      });
    }
    for (const table of tables) this.stands(table);
  }

  /** Where one table is now: tells of an error that is new, and of one that is over. */
  stands(table: FollowedTable): void {
    const { name, progress } = table;
    if (progress.state === 'error') {
      this.errors.raise(name, progress);
    } else {
      // One whose copy is only tried again has not recovered yet.
      if (table.hasRows) this.errors.over(name);
      this.#model.followed.state(name, progress.state);
    }
    this.#model.followed.spooled(name, table.spooledBytes);
    this.#stands(table);
  }

  /** A table that was copied, or in error, goes with the others from here on. */
  joined(table: FollowedTable, others: { caughtUp: boolean }): void {
    this.stands(table);
    // Before that it goes without saying.
    if (table.progress.state !== 'streaming' || !others.caughtUp) return;
    this.#teller.tell({
      level: 'info',
      table: table.name,
      code: 'TABLE_STREAMING',
      message: `${table.name} is complete and goes with the others.`,
    });
  }

  /** Changes that a table's spool had kept are on the target. */
  drained(table: FollowedTable, applied: Applied, durationMs: number): void {
    this.conflicts(applied);
    this.#model.followed.spooled(table.name, table.spooledBytes);
    const { rows, perTable, way } = applied;
    if (rows > 0) this.#model.batchApplied({ rows, transactions: 0, durationMs, perTable, way, at: Date.now() });
  }

  copyObserver(): CopyRoundsOptions['observer'] {
    const model = this.#model;
    const name = (task: CopyTask): string => displayName(task.mapping.source);
    return {
      started: (task) => {
        model.followed.state(name(task), 'copying');
        model.followed.copyStarted(name(task));
      },
      progress: (task, rows, bytes) => model.followed.copyProgress(name(task), rows, bytes),
      merged: (task, found) => {
        const table = name(task);
        this.#teller.tell({ level: 'info', table, code: 'RESYNCED', message: resynced(table, found) });
      },
      shadowStays: (task, shadow, reason) => this.#teller.tell(leftShadow(name(task), shadow, reason)),
      beginsAgain: ({ code, message, remedy, table }) =>
        this.#teller.tell({ level: 'warn', code, message, remedy, ...(table === null ? {} : { table }) }),
      takenAsIs: (table) => this.#teller.tell(takenAsIs(table)),
      waits: (tables, wait) => this.#waits.tell(tables, wait),
      finished: (task, rows, bytes) => {
        model.followed.copyFinished(name(task), rows, bytes);
        this.#replaced(name(task));
        model.followed.state(name(task), task.bare ? 'indexing' : 'catching_up');
        this.#log.info({ table: name(task), rows, bytes }, 'table copied');
      },
    };
  }

  /** A command on a table was accepted. */
  commanded(table: string, code: string, message: string): void {
    this.#teller.tell({ level: 'info', table, code, message });
  }

  /** What was in the way of sequences before and is no more, is over. */
  sequences({ followed, faults }: SequencesBrought): void {
    const now = new Map(faults.map((fault) => [fault.table, fault]));
    for (const table of this.#sequenceFaults.keys()) {
      if (!now.has(table)) this.#model.clearProblem('SEQUENCE_NOT_SET', table);
    }
    for (const fault of now.values()) {
      const problem = { code: 'SEQUENCE_NOT_SET', ...fault } as const;
      this.#model.problem(problem);
      if (this.#sequenceFaults.get(fault.table) !== fault.message) this.#teller.tell({ level: 'warn', ...problem });
    }
    this.#sequenceFaults = new Map(faults.map(({ table, message }) => [table, message]));
    this.#log.debug({ followed, faults: faults.length }, 'sequences brought over');
  }

  /** What a table of our making goes without. */
  refused(table: FollowedTable, code: RefusalCode, refusals: readonly Refusal[]): void {
    if (refusals.length > 0) this.#teller.tell(refusedParts(table, code, refusals));
  }

  /** Parts that the target had refused are there now. */
  mended(table: FollowedTable, parts: readonly string[]): void {
    this.#teller.tell(mendedParts(table, parts));
  }

  /** Rows that were not applied as they were sent. */
  conflicts(applied: Applied): void {
    for (const conflict of applied.conflicts) this.#model.followed.conflict(conflict.table, conflict.kind, 1);
    for (const event of this.#tally.events(applied.conflicts)) this.#teller.tell(event);
    for (let at = 0; at < applied.conflicts.length; at += CONFLICTS_A_LINE) {
      this.#log.warn({ conflicts: applied.conflicts.slice(at, at + CONFLICTS_A_LINE) }, 'rows not applied as they were sent');
    }
  }
}

function resynced(table: string, { missing, extra, different }: Difference): string {
  const counts = [`${missing} missing`, `${extra} that the source has not`, `${different} with other values`];
  const found = missing + extra + different === 0 ? 'every row was right' : `of its rows there were ${counts.join(', ')}`;
  return `${table} on the target is as the source's again: ${found}.`;
}

// Labels begin with what kind of thing they are.
function countedKinds(labels: readonly string[]): string {
  const kinds = groupBy(labels, (label) => label.split(' ', 1)[0] ?? '');
  return [...kinds].map(([kind, all]) => (all.length === 1 ? all[0] : `${all.length} ${kind}s`)).join(', ');
}

// As the source announces it in the stream from now on.
function identityOf(table: FollowedTable, changes: readonly IdentityChange[]): TableStatus['identity'] {
  const { source } = table;
  const change = changes.find((each) => each.oid === source.oid);
  const kind = change ? change.to.kind : source.replicaIdentity;
  if (kind === 'full') return 'full';
  if (kind === 'index') return 'index';
  return source.uniqueIndexes.some((index) => index.primary) && kind !== 'nothing' ? 'primary_key' : 'nothing';
}

function time(text: string | null): number | null {
  return text === null ? null : Date.parse(text);
}
