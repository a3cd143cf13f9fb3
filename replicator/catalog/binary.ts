import type { Oid } from '../postgres/oid.ts';
import { isBuiltIn } from './built-in.ts';
import type { ColumnPair } from './match-target.ts';
import type { ColumnType } from './relation.ts';

export type BinaryVerdict = { readonly safe: true } | { readonly safe: false; readonly reason: string };

/** server_version_num of both ends. */
export interface ServerVersions {
  readonly sourceVersion: number;
  readonly targetVersion: number;
}

// The binary form of these is an OID, which means something else in the other database: regproc, regprocedure, regoper,
// regoperator, regclass, regtype, regconfig, regdictionary, regnamespace, regrole, regcollation, each with its array.
const NAMES_BY_OID = [
  24, 1008, 2202, 2207, 2203, 2208, 2204, 2209, 2205, 2210, 2206, 2211, 3734, 3735, 3769, 3770, 4089, 4090, 4096, 4097, 4191,
  4192,
];

// These have no binary form, or one that the server refuses to read: aclitem and its array, gtsvector and its array, pg_node_tree,
// pg_ndistinct, pg_dependencies, pg_mcv_list, pg_brin_bloom_summary, pg_brin_minmax_multi_summary; empty ones of int2vector and
// oidvector, each with its array.
const TEXT_ONLY = [1033, 1034, 3642, 3644, 194, 3361, 3402, 5017, 4600, 4601, 22, 1006, 30, 1013];

const UNSAFE_BUILT_INS: ReadonlySet<Oid> = new Set([...NAMES_BY_OID, ...TEXT_ONLY]);

/** Binary forms of built-in types have not changed since this version, but for one; older ones are not tried. */
const OLDEST_VERSION = 140000;

// Since 17 an interval can be infinite; servers before take the binary form of that for 178 million years.
const INTERVALS: ReadonlySet<Oid> = new Set([1186, 1187]);
const INFINITE_INTERVALS = 170000;

/**
 * Whether a table's values may travel in binary format, in COPY and in pgoutput: every column must have the same built-in
 * type on both sides (behind domains too) or be an enum of the same name. Binary arrays, composites and ranges of
 * user-defined types hold OIDs of the source, and a receive function does not cast.
 * https://www.postgresql.org/docs/current/sql-createsubscription.html#SQL-CREATESUBSCRIPTION-PARAMS-WITH-BINARY
 */
export function binaryIsSafe(pairs: readonly ColumnPair[], { sourceVersion, targetVersion }: ServerVersions): BinaryVerdict {
  if (Math.min(sourceVersion, targetVersion) < OLDEST_VERSION) {
    return { safe: false, reason: 'a server is older than PostgreSQL 14' };
  }
  for (const { source, target } of pairs) {
    const finite =
      sourceVersion >= INFINITE_INTERVALS && targetVersion < INFINITE_INTERVALS && INTERVALS.has(source.type.baseOid);
    const fault = finite ? 'the target knows no infinite interval' : faultOf(source.type, target.type);
    if (fault) return { safe: false, reason: `column ${source.name}: ${fault}` };
  }
  return { safe: true };
}

function faultOf(source: ColumnType, target: ColumnType): string | null {
  if (isBuiltIn(source.baseOid) && isBuiltIn(target.baseOid)) {
    if (source.baseOid !== target.baseOid) return `${source.sqlName} and ${target.sqlName} differ`;
    return UNSAFE_BUILT_INS.has(source.baseOid) ? `${source.sqlName} has no binary form that holds in another database` : null;
  }
  if (source.kind === 'enum' && target.kind === 'enum') {
    return source.sqlName === target.sqlName ? null : `${source.sqlName} and ${target.sqlName} differ`;
  }
  return `${isBuiltIn(source.baseOid) ? target.sqlName : source.sqlName} is a user-defined ${kindOf(isBuiltIn(source.baseOid) ? target : source)}`;
}

function kindOf(type: ColumnType): string {
  if (type.elementOid !== null) return 'array';
  return type.kind === 'base' ? 'type' : type.kind;
}
