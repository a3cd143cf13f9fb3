import type { Config } from '../config/schema.ts';
import { notePublications, readNotedPublications } from '../metadata/pipeline-row.ts';
import { isAltered, readPublicationRows, type PublicationRows } from '../source/publication-rows.ts';
import { on } from './blame.ts';
import type { Ends } from './ends.ts';

/** What somebody has done to a publication and cannot be followed, for people. */
export interface PublicationNews {
  readonly code: 'PUBLICATION_ALTERED';
  readonly message: string;
  readonly remedy: string;
}

const REMEDY = 'pgfollow validate names the tables that differ; pgfollow resync SCHEMA.TABLE copies one again.';

/**
 * Tells whether somebody has altered a publication since it was looked last, and notes what it is now. One that was put back between two looks
 * is as it should be, but changes of rows may not have been sent meanwhile. Nothing is copied again for it: the catalog does not tell
 * what was altered, and a new owner is no matter.
 */
export async function watchPublications(
  ends: Pick<Ends, 'source' | 'target' | 'row'>,
  { name, publication: { names } }: Config,
  now: PublicationRows,
): Promise<{ news: PublicationNews | null; byOurselves: () => Promise<void> }> {
  const { source, target, row } = ends;
  const before = await on('target', readNotedPublications(target, name));
  if (before?.join() !== now.join()) await on('target', notePublications(target, name, now));
  return {
    // Before the slot there is no stream that could lack something.
    news: row.snapshotFinished && before && isAltered(before, now) ? alteredMeanwhile(names) : null,
    byOurselves: async () => on('target', notePublications(target, name, await on('source', readPublicationRows(source, names)))),
  };
}

function alteredMeanwhile(names: readonly string[]): PublicationNews {
  const which = names.length === 1 ? `the publication ${names[0]}` : `a publication (${names.join(', ')})`;
  return {
    code: 'PUBLICATION_ALTERED',
    message: `Somebody has altered ${which} since it was looked last: SET, RENAME or OWNER. If it published less for a while, what was not sent meanwhile is missing on the target.`,
    remedy: REMEDY,
  };
}

/** Not a reason to copy: whoever does that may want to delete rows on the source alone. */
export function unsentChanges(name: string): PublicationNews {
  return {
    code: 'PUBLICATION_ALTERED',
    message: `Somebody had altered the publication ${name} so that it did not publish all of insert, update, delete and truncate. It does again; what was not sent meanwhile is missing on the target.`,
    remedy: REMEDY,
  };
}
