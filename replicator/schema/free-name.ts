import { createHash } from 'node:crypto';
import type { RelationName } from '../catalog/relation.ts';

/** Longer names are cut by PostgreSQL, so that two could become one (NAMEDATALEN). */
const MOST_BYTES = 63;

/**
 * The name itself where nobody has it, else one that belongs to `owner` alone and is the same each time it is asked for:
 * two source tables that come together in one schema may have indexes of the same name.
 */
export function freeName(wanted: RelationName, owner: RelationName, isTaken: (name: RelationName) => boolean): RelationName {
  if (!isTaken(wanted)) return wanted;
  const suffix = `_${createHash('sha256')
    .update(JSON.stringify([owner.schema, owner.name, wanted.name]))
    .digest('hex')
    .slice(0, 8)}`;
  let name = wanted.name;
  while (Buffer.byteLength(name + suffix) > MOST_BYTES) name = name.slice(0, -1);
  return { schema: wanted.schema, name: name + suffix };
}
