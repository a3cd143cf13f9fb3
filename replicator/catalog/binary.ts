import { TYPE_OID, type Oid } from '../postgres/oid.ts';
import { unreachable } from '../problem.ts';
import { isBuiltIn } from './built-in.ts';
import { unqualified } from './casts.ts';
import type { ColumnPair } from './match-target.ts';
import type { ColumnType } from './relation.ts';
import type { TypeForm } from './type-forms.ts';

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

const ROLE_LISTS = [1033, 1034];

/** Values of this type name objects of the database (regclass) or roles (aclitem): what they print changes when those are renamed. */
export function namesObjects(type: Oid): boolean {
  return NAMES_BY_OID.includes(type) || ROLE_LISTS.includes(type);
}

const UNSAFE_BUILT_INS: ReadonlySet<Oid> = new Set([...NAMES_BY_OID, ...TEXT_ONLY]);

/** Binary forms of built-in types have not changed since this version, but for one; older ones are not tried. */
const OLDEST_VERSION = 140000;

// Since 17 an interval can be infinite; servers before take the binary form of that for 178 million years.
const INTERVALS: ReadonlySet<Oid> = new Set([1186, 1187]);
const INFINITE_INTERVALS = 170000;

const OCTAL_CHARS = 160000;

/** Their binary form is their text, so each reads the others'. */
const STRINGS: ReadonlySet<Oid> = new Set([TYPE_OID.text, TYPE_OID.varchar, TYPE_OID.bpchar]);

/** Types of extensions whose binary form has been the same in all versions that servers since 14 bring. */
const STEADY: ReadonlySet<string> = new Set(['citext', 'cube', 'hstore', 'ltree']);

/** Since 16 a "char" above 127 is written in octal; older servers would take that for a backslash. */
export function readsHighChars({ sourceVersion, targetVersion }: ServerVersions): boolean {
  return sourceVersion < OCTAL_CHARS || targetVersion >= OCTAL_CHARS;
}

/**
 * Whether a table's values may travel in binary format, in COPY and in pgoutput: every column must have the same built-in
 * type on both sides (behind domains too), or one that is made of the same parts. Arrays and composites hold the OIDs of
 * their parts, which are others on the target; since 14 a receive function minds that for built-in types only. It does not cast.
 * https://www.postgresql.org/docs/current/sql-createsubscription.html#SQL-CREATESUBSCRIPTION-PARAMS-WITH-BINARY
 */
export function binaryIsSafe(pairs: readonly ColumnPair[], versions: ServerVersions): BinaryVerdict {
  for (const { source, target } of pairs) {
    const fault = binaryFault(source.type, target.type, versions);
    if (fault !== null) return { safe: false, reason: `column ${source.name}: ${fault}` };
  }
  return { safe: true };
}

/**
 * Whether the stream may carry a table's values in binary format. It may as well where the target makes its own type of the
 * source's (see conversionOf), if it knows that one and its values.
 */
export function streamsInBinary(pairs: readonly ColumnPair[], versions: ServerVersions): boolean {
  return pairs.every(({ source: { type: source }, target: { type: target } }) => {
    if (binaryFault(source, target, versions) === null) return true;
    if (source.form) return cameAsText(source);
    return isBuiltIn(source.baseOid) && binaryFault(source, source, versions) === null;
  });
}

/** Even in a binary stream: there is no binary form. */
export function cameAsText(source: Pick<ColumnType, 'form'>): boolean {
  return source.form?.is === 'unsent';
}

/** Why the target's type does not read the binary form of the source's; null when it does. */
function binaryFault(source: ColumnType, target: ColumnType, versions: ServerVersions): string | null {
  if (Math.min(versions.sourceVersion, versions.targetVersion) < OLDEST_VERSION) return 'a server is older than PostgreSQL 14';
  if (sentAlike(source, target)) return null;
  return formFault(formOf(source), formOf(target), { moreIntervals: sendsMoreIntervals(versions), further: false });
}

/**
 * As binaryFault(), for a type of one's own in the stream: the target's composites may have further fields, which older values lack
 * (see reshape-binary.ts).
 */
export function streamFault(source: TypeForm, target: ColumnType, versions: ServerVersions): string | null {
  if (source.is === 'enum' && STRINGS.has(target.baseOid)) return null;
  return formFault(source, formOf(target), { moreIntervals: sendsMoreIntervals(versions), further: true });
}

function sendsMoreIntervals({ sourceVersion, targetVersion }: ServerVersions): boolean {
  return sourceVersion >= INFINITE_INTERVALS && targetVersion < INFINITE_INTERVALS;
}

/** A string or label for a string: no parts, no OIDs. */
function sentAlike(source: ColumnType, target: ColumnType): boolean {
  return STRINGS.has(target.baseOid) && (STRINGS.has(source.baseOid) || source.form?.is === 'enum');
}

/** Whether two built-in types have the same binary form. */
export function sameBinary(source: Oid, target: Oid): boolean {
  return source === target || (STRINGS.has(source) && STRINGS.has(target));
}

function formOf(type: ColumnType): TypeForm {
  if (type.form) return type.form;
  return { name: type.sqlName, ...(isBuiltIn(type.baseOid) ? { is: 'built-in', oid: type.baseOid } : { is: 'unsent' }) };
}

interface Allowance {
  /** The source knows intervals that the target does not. */
  readonly moreIntervals: boolean;
  /** The target's composites may have fields behind those of the source. */
  readonly further: boolean;
}

function formFault(source: TypeForm, target: TypeForm, allowance: Allowance): string | null {
  const differ = `${source.name} and ${target.name} differ`;
  switch (source.is) {
    case 'built-in':
      if (target.is !== 'built-in' || target.oid !== source.oid) return differ;
      if (allowance.moreIntervals && INTERVALS.has(source.oid)) return 'the target knows no infinite interval';
      return UNSAFE_BUILT_INS.has(source.oid) ? `${source.name} has no binary form that holds in another database` : null;
    case 'enum':
      return target.is === 'enum' ? null : differ;
    case 'array':
    case 'range':
    case 'multirange':
      return target.is === source.is ? formFault(source.of, target.of, allowance) : differ;
    case 'composite': {
      if (target.is !== 'composite' || target.fields.length < source.fields.length) return differ;
      if (target.fields.length > source.fields.length && !allowance.further) return differ;
      for (const [i, { name, form }] of source.fields.entries()) {
        const fault = formFault(form, target.fields[i]?.form ?? form, allowance);
        if (fault !== null) return `${source.name}.${name}: ${fault}`;
      }
      return null;
    }
    case 'base':
      return target.is === 'base' ? baseFault(source, target) : differ;
    case 'unsent':
      return `${source.name} has no binary form`;
    default:
      return unreachable(source);
  }
}

type BaseForm = Extract<TypeForm, { is: 'base' }>;

function baseFault(source: BaseForm, target: BaseForm): string | null {
  if (source.extension === null || source.extension !== target.extension) return `${source.name} comes from no extension of both`;
  if (unqualified(source.name) !== unqualified(target.name)) return `${source.name} and ${target.name} differ`;
  if (STEADY.has(source.extension) || source.version === target.version) return null;
  return `${source.name} comes with ${source.extension} ${source.version}, and ${target.version} on the target`;
}
