import { displayName, type RelationName } from '../catalog/relation.ts';
import { readRelations } from '../catalog/read-relations.ts';
import type { Config } from '../config/schema.ts';
import { parseRelationName } from '../config/table-pattern.ts';
import { readChoices, removedOnes, storeChoice } from '../metadata/table-choices.ts';
import { storeRoute } from '../metadata/table-states.ts';
import { nextProgress } from '../metadata/table-state.ts';
import { Problem } from '../problem.ts';
import type { Applier } from '../apply/applier.ts';
import { on } from './blame.ts';
import type { Boundary } from './boundary.ts';
import type { FollowedTable } from './followed-table.ts';
import type { Ends } from './ends.ts';
import type { RetryClock } from './retry-clock.ts';
import type { SequenceKeeper } from './sequences.ts';
import type { TableSet } from './table-set.ts';
import type { TableTender } from './tend-tables.ts';

/** What commands work on while the stream is followed. */
export interface FollowingSession {
  readonly ends: Ends;
  readonly config: Config;
  readonly tables: TableSet;
  readonly tender: TableTender;
  readonly boundary: Boundary;
  readonly applier: Applier;
  readonly clock: RetryClock;
  readonly sequences: SequenceKeeper;
}

/** What has become of a command when it is answered: done, or for the most part still to come. */
export type Outcome = 'done' | 'to come';

/** Follows one more table. Throws where that is not possible; durable when it resolves. */
export async function addTable(session: FollowingSession, name: string): Promise<Outcome> {
  const { ends, config, tables, tender } = session;
  const source = parseRelationName(name);
  const choices = await on('target', readChoices(ends.target, config.name));
  const before = choices.find((choice) => displayName(choice.source) === displayName(source))?.followed ?? null;
  const comesBack = before === false;
  // It may still be there because a batch is being applied.
  if (tables.get(name) && !comesBack) throw notPossible(`${name} is followed already.`, 'Nothing needs to be done.', name);
  if (!comesBack) refuseUnmanaged(config, name);
  const [relation] = await on('source', readRelations(ends.source, { names: [source] }));
  if (!relation) {
    throw new Problem('SOURCE_TABLE_MISSING', `${name} does not exist on the source.`, {
      remedy: 'Check the spelling: schema.table.',
      table: name,
    });
  }
  await choose(session, source, true);
  // Who waits for the target from here on shall wait for this table too.
  const looked = tender.rescan();
  await looked.reached(AbortSignal.timeout(LOOKED_WITHIN_MS));
  if (!looked.done || tables.get(displayName(source))) return 'to come';
  await choose(session, source, before);
  refuseUnmanaged(config, name);
  throw notPossible(`${name} cannot be followed as it is.`, `\`pgfollow add ${name} --dry-run\` says why.`, name);
}

/** Where the publication is not ours, a command only takes up again what one has removed. */
export function refuseUnmanaged({ publication }: Config, name: string): void {
  if (publication.managed) return;
  throw notPossible(
    `The publications are used as they are (publication.managed: false), so ${name} cannot be added by command.`,
    `ALTER PUBLICATION … ADD TABLE on the source: it is taken up within seconds.`,
    name,
  );
}

/** So long it is waited for a table to come or leave: a large transaction may hold it up. Shorter than a command's patience. */
const LOOKED_WITHIN_MS = 7000;

/**
 * Follows a table no longer; its rows on the target stay. It has left when this resolves, as far as that can be waited for:
 * who adds it again at once shall not be told that it is followed already.
 */
export async function removeTable(session: FollowingSession, name: string): Promise<Outcome> {
  const { source } = tableOf(session, name).mapping;
  const removed = removedOnes(await on('target', readChoices(session.ends.target, session.config.name)));
  // Without any there is nothing to follow, and no command on tables any more.
  if (session.tables.all.every((table) => table.name === name || removed.has(table.name))) {
    throw notPossible(
      `${name} is the only table that is followed.`,
      'Add another one first; `pgfollow pause` to apply nothing for a while, `pgfollow teardown` to end it.',
      name,
    );
  }
  await choose(session, source, false);
  const looked = session.tender.rescan();
  await looked.reached(AbortSignal.timeout(LOOKED_WITHIN_MS));
  return looked.done ? 'done' : 'to come';
}

/** Copies a table again, its rows replaced when the copy is complete. */
export async function resyncTable(session: FollowingSession, name: string): Promise<Outcome> {
  const { ends, config, boundary, applier, clock, tender } = session;
  const table = tableOf(session, name);
  if ((!table.hasRows && table.progress.state !== 'error') || table.progress.state === 'indexing')
    throw notPossible(`${name} is being copied, or about to be.`, 'Wait until it is complete.', name);
  refuseToCopyAgain(config, ends.sourceIdentity, name);
  const anew = {
    progress: nextProgress(table.progress, { type: 'copy again' }),
    spooling: false,
    hasRows: false,
    copiedAsOf: null,
  };
  await on('target', storeRoute(ends.target, config.name, table.mapping.source, anew));
  clock.succeeded(name);
  void boundary
    .at(
      async () => {
        Object.assign(table, anew, { ours: true, saved: '-' });
        applier.reroute();
        tender.tell(table);
        // Its target table may be gone: it is created then.
        tender.rescan();
      },
      { whilePaused: true },
    )
    .catch(() => {});
  return 'to come';
}

/** Where nothing can be, or is to be, copied again. */
export function refuseToCopyAgain({ snapshot }: Config, { inRecovery }: { inRecovery: boolean }, name: string): void {
  if (inRecovery)
    throw notPossible(
      `${name} cannot be copied while the stream goes on: the source is a standby.`,
      'Use the primary as source.url.',
      name,
    );
  if (!snapshot.copy || snapshot.existingRows === 'keep') {
    throw notPossible(
      `snapshot.copy: false and snapshot.existingRows: keep leave the rows of the target alone, so ${name} is not copied again.`,
      'Change that setting and start pgfollow again first.',
      name,
    );
  }
}

/** Tries a table in `error` again at once; of one that goes without parts or foreign keys which the target has refused, those. */
export async function retryTable(session: FollowingSession, name: string): Promise<Outcome> {
  const table = tableOf(session, name);
  if (table.progress.state !== 'error' && !table.lacking && table.foreignKeys !== 'refused')
    throw notPossible(`${name} is not in error.`, 'Nothing needs to be done.', name);
  if (table.lacking) session.tender.mend(table);
  session.tender.link(table);
  if (table.progress.state !== 'error') return 'done';
  session.clock.hurry(name);
  session.tender.rescan();
  return 'to come';
}

async function choose({ ends, config }: FollowingSession, source: RelationName, followed: boolean | null): Promise<void> {
  await on('target', storeChoice(ends.target, config.name, { source, followed }));
}

function tableOf({ tables }: FollowingSession, name: string): FollowedTable {
  const table = tables.get(name);
  if (table) return table;
  throw notPossible(`${name} is not followed.`, '`pgfollow tables` lists those that are.', name);
}

function notPossible(what: string, remedy: string, table: string): Problem {
  return new Problem('NOT_POSSIBLE_NOW', what, { remedy, table, retry: 'transient' });
}
