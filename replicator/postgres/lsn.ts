/**
 * A WAL position, as PostgreSQL's pg_lsn: an unsigned 64-bit number. A bigint everywhere inside;
 * text only at the edges. https://www.postgresql.org/docs/current/datatype-pg-lsn.html
 */
export type Lsn = bigint & { readonly __lsn: unique symbol };

/** On which timeline a server is, and up to where that is known; null: for all that it has. */
export interface Timeline {
  readonly id: number;
  readonly until: Lsn | null;
}

export const ZERO_LSN = 0n as Lsn;

const PATTERN = /^([0-9A-Fa-f]{1,8})\/([0-9A-Fa-f]{1,8})$/;

/** `16/B374D848` -> Lsn, or null when the text is no LSN. */
export function tryParseLsn(text: string): Lsn | null {
  const match = PATTERN.exec(text);
  if (!match) return null;
  return ((BigInt(`0x${match[1]}`) << 32n) | BigInt(`0x${match[2]}`)) as Lsn;
}

/** `16/B374D848` -> Lsn. Throws RangeError on anything else. */
export function parseLsn(text: string): Lsn {
  const lsn = tryParseLsn(text);
  if (lsn === null) throw new RangeError(`"${text}" is not an LSN such as 16/B374D848`);
  return lsn;
}

/** Lsn -> `16/B374D848`, as PostgreSQL prints it (upper case, no leading zeros). */
export function formatLsn(lsn: Lsn): string {
  return `${(lsn >> 32n).toString(16).toUpperCase()}/${(lsn & 0xffffffffn).toString(16).toUpperCase()}`;
}

export function maxLsn(a: Lsn, b: Lsn): Lsn {
  return a > b ? a : b;
}
