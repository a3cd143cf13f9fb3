import type { EventInput } from '../observe/events.ts';

/** A table that came while the stream goes on, came back, or whose copy was not complete, and is not copied. */
export function takenAsIs(table: string): EventInput {
  return {
    level: 'warn',
    table,
    code: 'TABLE_NOT_COPIED',
    message:
      `${table} is followed from here on and not copied, because of snapshot.copy: false. What it held before, what was written while it was not followed, ` +
      `and changes that waited for its copy are on the target only where somebody has brought them.`,
    remedy: `pgfollow validate ${table} tells what differs; with snapshot.copy: true, pgfollow resync ${table} brings it.`,
  };
}
