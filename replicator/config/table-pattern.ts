import type { RelationName } from '../catalog/relation.ts';

/** A pattern's part: text to be matched as it stands, or `*`. */
type Token = { readonly text: string } | 'any';

/** Longest identifier in bytes: NAMEDATALEN - 1. */
const MAX_NAME_BYTES = 63;

const OWN_SCHEMA = 'pgfollow';

/**
 * Splits at a separator outside double quotes: `a.b,"x,y".z` at `,` gives `a.b` and `"x,y".z`.
 * Parts are trimmed, empty ones dropped.
 */
export function splitOutsideQuotes(text: string, separator: string): string[] {
  const parts: string[] = [];
  let part = '';
  let quoted = false;
  for (const char of text) {
    if (char === '"') quoted = !quoted;
    if (char === separator && !quoted) {
      parts.push(part);
      part = '';
    } else {
      part += char;
    }
  }
  parts.push(part);
  return parts.map((each) => each.trim()).filter((each) => each !== '');
}

/**
 * Reads `schema.table`. Names are as the catalog has them: case matters, nothing is folded. Double
 * quotes, as in SQL, are needed only where a name holds a dot, a comma, a quote or an asterisk.
 * Throws RangeError on anything else, with the reason.
 */
function tokenize(text: string): [schema: Token[], table: Token[]] {
  const parts: Token[][] = [[]];
  let quoted = false;
  const append = (char: string): void => {
    const part = parts.at(-1) ?? [];
    const last = part.at(-1);
    if (last !== undefined && last !== 'any') part[part.length - 1] = { text: last.text + char };
    else part.push({ text: char });
  };
  for (let at = 0; at < text.length; at++) {
    const char = text.charAt(at);
    if (char === '"') {
      if (quoted && text[at + 1] === '"') {
        append('"');
        at++;
      } else {
        quoted = !quoted;
      }
    } else if (quoted) {
      append(char);
    } else if (char === '.') {
      parts.push([]);
    } else if (char === '*') {
      parts.at(-1)?.push('any');
    } else {
      append(char);
    }
  }
  if (quoted) throw new RangeError('the closing double quote is missing');
  const [schema, table] = parts;
  if (schema === undefined || table === undefined || parts.length !== 2) {
    throw new RangeError(
      parts.length < 2 ? 'the schema is missing' : 'there are too many dots; quote a name that holds one, "like.this"',
    );
  }
  for (const part of [schema, table]) {
    if (part.length === 0) throw new RangeError('a name is empty');
    for (const token of part) {
      if (token === 'any') continue;
      if (token.text !== token.text.trim() && !text.includes('"')) throw new RangeError('there is a blank around a name');
      if (token.text.includes('\0')) throw new RangeError('a name holds a zero byte');
      if (Buffer.byteLength(token.text) > MAX_NAME_BYTES) throw new RangeError(`a name is longer than ${MAX_NAME_BYTES} bytes`);
    }
  }
  return [schema, table];
}

/** `public.orders` or `"We.ird"."Tab le"` -> unquoted names. Throws RangeError with the reason. */
export function parseRelationName(text: string): RelationName {
  const [schema, table] = tokenize(text).map((part) => {
    const [only, ...more] = part;
    if (only === undefined || only === 'any' || more.length > 0) {
      throw new RangeError('an asterisk is not allowed here; quote it when it is part of the name');
    }
    return only.text;
  });
  return { schema: schema ?? '', name: table ?? '' };
}

/** Why a text is no `schema.table` pattern (`concrete`: no name), or null when it is one. */
export function patternFault(text: string, kind: 'pattern' | 'concrete'): string | null {
  try {
    if (kind === 'concrete') parseRelationName(text);
    else tokenize(text);
    return null;
  } catch (error) {
    if (error instanceof RangeError) return error.message;
    throw error;
  }
}

/** Schemas that hold no user tables, and pgfollow's own: no pattern ever matches them. */
function isReservedSchema(schema: string): boolean {
  return schema.startsWith('pg_') || schema === 'information_schema' || schema === OWN_SCHEMA;
}

/**
 * `schema.table` patterns, where `*` stands for any text inside one name -> predicate.
 * Throws RangeError on a text that is no pattern.
 */
export function matchTables(patterns: readonly string[]): (relation: RelationName) => boolean {
  const compiled = patterns.map((pattern) => {
    const [schema, table] = tokenize(pattern);
    return { schema: toRegExp(schema), table: toRegExp(table) };
  });
  return (relation) =>
    !isReservedSchema(relation.schema) &&
    compiled.some(({ schema, table }) => schema.test(relation.schema) && table.test(relation.name));
}

function toRegExp(tokens: readonly Token[]): RegExp {
  const source = tokens.map((token) => (token === 'any' ? '.*' : token.text.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&')));
  return new RegExp(`^${source.join('')}$`, 'su');
}
