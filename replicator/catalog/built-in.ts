import type { Oid } from '../postgres/oid.ts';

/**
 * Types below this OID are written by hand in pg_type.dat and are the same in every database and version
 * (FirstGenbkiObjectId, access/transam.h); above it initdb or a user has given out numbers.
 */
const FIRST_GENERATED_OID = 10000;

export function isBuiltIn(type: Oid): boolean {
  return type < FIRST_GENERATED_OID;
}
