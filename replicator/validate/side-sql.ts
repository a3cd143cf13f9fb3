import type { Relation } from '../catalog/relation.ts';
import { quoteIdent, quoteRelation } from '../postgres/quote.ts';
import type { KeyColumn } from './row-key.ts';

/** How the rows of one side are read. */
export interface SideShape {
  readonly relation: Relation;
  /** SQL of each compared column. */
  readonly columns: readonly string[];
  readonly key: readonly KeyColumn[];
  /** Row filter of the source, else null. */
  readonly where: string | null;
  /** SQL that hashes $, a text. */
  readonly hash: string;
}

/** A part of the key's order: behind `after`, up to and with `upTo`; null is an end of the table. */
export interface KeyRange {
  readonly after: readonly string[] | null;
  readonly upTo: readonly string[] | null;
}

/** Blocks from `from` on, below `to`; null is to the end, wherever that is by then. */
export interface Blocks {
  readonly from: number;
  readonly to: number | null;
}

export interface Query {
  readonly text: string;
  readonly values: readonly unknown[];
}

const VERSION = '"pgfollow version"';
// Where a row version lies and who wrote it: while it is this, nobody has changed the row. A partition may have the same ctid.
const VERSION_OF = `pg_catalog.concat(tableoid, ' ', ctid, ' ', xmin) AS ${VERSION}`;

/**
 * The statements that compare rows, for one side. Each is short, takes its own snapshot, and gives hashes, keys and versions; values of
 * other columns never leave the server. A filter is applied outside of what limits the rows, so that it cannot make a
 * statement long.
 */
export class SideSql {
  readonly #shape: SideShape;

  constructor(shape: SideShape) {
    this.#shape = shape;
  }

  /** The first rows of a range in the key's order: how many there are, how many of them count, their sum, the last key. */
  page(range: KeyRange, limit: number): Query {
    const { key } = this.#shape;
    const values: unknown[] = [];
    const inner = `${this.#table(this.#between(range, values))} ORDER BY ${key.map(({ sql }) => sql).join(', ')} LIMIT ${limit}`;
    const last = key.map(({ sql }) => `(pg_catalog.array_agg(pg_catalog.concat(${sql})))[pg_catalog.count(*)::pg_catalog.int4]`);
    return {
      text: `SELECT pg_catalog.count(*)::pg_catalog.int4 AS scanned, ARRAY[${last.join(', ')}] AS last, ${this.#sums} FROM (${inner}) AS ${this.#alias}`,
      values,
    };
  }

  /** How many rows of a range there are, and their sum. */
  range(range: KeyRange): Query {
    const values: unknown[] = [];
    return { text: `SELECT ${this.#sums} FROM (${this.#table(this.#between(range, values))}) AS ${this.#alias}`, values };
  }

  /** Every row of a range: key, hash, version. */
  list(range: KeyRange): Query {
    const values: unknown[] = [];
    return { text: this.#rows(this.#between(range, values), this.#keyText), values };
  }

  /** Every row of these blocks: key, hash, version. */
  blocks(blocks: Blocks): Query {
    return { text: this.#rows(inBlocks(blocks), this.#keyText), values: [] };
  }

  /** For each key a row, `hash` NULL where there is none. */
  lookup(keys: readonly (readonly string[])[]): Query {
    const { key, hash } = this.#shape;
    const match = key.map(({ sql, type, equals }, at) => `${sql} ${equals} "pgfollow key"."${at + 1}"::${type}`);
    const lists = key.map((_, at) => `$${at + 1}::pg_catalog.text[]`);
    const row = `SELECT ${hash.replace('$', () => this.#rowText)} AS hash, ${VERSION} AS version FROM (${this.#table(match)}) AS ${this.#alias}${this.#filter}`;
    return {
      text:
        `SELECT "pgfollow key".ord::pg_catalog.int4 AS ord, found.hash::pg_catalog.text, found.version ` +
        `FROM unnest(${lists.join(', ')}) WITH ORDINALITY AS "pgfollow key" (${key.map((_, at) => `"${at + 1}"`).join(', ')}, ord) ` +
        `LEFT JOIN LATERAL (${row}) AS found ON true`,
      values: key.map((_, at) => keys.map((values) => values[at])),
    };
  }

  /** Rows by hash, added up in buckets. */
  buckets(blocks: Blocks, count: number): Query {
    return {
      text:
        `SELECT bucket, pg_catalog.count(*)::pg_catalog.int4 AS rows, pg_catalog.sum(hash)::pg_catalog.text AS sum ` +
        `FROM (SELECT (hash & ${count - 1})::pg_catalog.int4 AS bucket, hash FROM (${this.#hashed(blocks)}) AS h) AS b GROUP BY bucket`,
      values: [],
    };
  }

  /** Every row of these buckets: hash, version. */
  bucketRows(blocks: Blocks, count: number, buckets: readonly number[]): Query {
    return {
      text:
        `SELECT hash::pg_catalog.text, version FROM (${this.#hashed(blocks)}) AS h ` +
        `WHERE (hash & ${count - 1})::pg_catalog.int4 = ANY ($1::pg_catalog.int4[])`,
      values: [buckets],
    };
  }

  /** Every row of these buckets: key, hash, version. */
  keyedBucketRows(blocks: Blocks, count: number, buckets: readonly number[]): Query {
    return {
      text:
        `SELECT key, hash::pg_catalog.text, version FROM (${this.#hashed(blocks, `${this.#keyText} AS key, `)}) AS h ` +
        `WHERE (hash & ${count - 1})::pg_catalog.int4 = ANY ($1::pg_catalog.int4[])`,
      values: [buckets],
    };
  }

  /** How many blocks there are, the most of any partition, and which files: these change when a table is rewritten. */
  extent(): Query {
    return {
      text: `SELECT coalesce(pg_catalog.max(pg_catalog.pg_relation_size(oid) / pg_catalog.current_setting('block_size')::pg_catalog.int8), 0)::pg_catalog.int4 AS blocks,
               pg_catalog.string_agg(pg_catalog.concat(oid, ' ', pg_catalog.pg_relation_filenode(oid)), ',' ORDER BY oid) AS files
             FROM (SELECT $1::pg_catalog.oid AS oid UNION SELECT relid FROM pg_catalog.pg_partition_tree($1::pg_catalog.oid::pg_catalog.regclass)) AS t`,
      values: [this.#shape.relation.oid],
    };
  }

  get #rowText(): string {
    return `ROW(${this.#shape.columns.join(', ')})::pg_catalog.text`;
  }

  get #keyText(): string {
    return `ARRAY[${this.#shape.key.map(({ sql }) => `pg_catalog.concat(${sql})`).join(', ')}]::pg_catalog.text[]`;
  }

  // A filter may name its table.
  get #alias(): string {
    return quoteIdent(this.#shape.relation.name);
  }

  // A comment at the end of the filter ends with its line.
  get #filter(): string {
    return this.#shape.where === null ? '' : ` WHERE (${this.#shape.where}\n)`;
  }

  get #sums(): string {
    const counted = this.#filter === '' ? '' : ` FILTER (${this.#filter.trimStart()})`;
    return `pg_catalog.count(*)${counted}::pg_catalog.int4 AS rows, coalesce(pg_catalog.sum(${this.#hash})${counted}, 0)::pg_catalog.text AS sum`;
  }

  get #hash(): string {
    return this.#shape.hash.replace('$', () => this.#rowText);
  }

  #table(conditions: readonly string[]): string {
    const { relation } = this.#shape;
    const only = relation.kind === 'table' ? 'ONLY ' : '';
    const where = conditions.length === 0 ? '' : ` WHERE ${conditions.join(' AND ')}`;
    return `SELECT *, ${VERSION_OF} FROM ${only}${quoteRelation(relation)}${where}`;
  }

  #rows(conditions: readonly string[], key: string): string {
    return `SELECT ${key} AS key, ${this.#hash}::pg_catalog.text AS hash, ${VERSION} AS version FROM (${this.#table(conditions)}) AS ${this.#alias}${this.#filter}`;
  }

  #hashed(blocks: Blocks, more = ''): string {
    return `SELECT ${more}${this.#hash} AS hash, ${VERSION} AS version FROM (${this.#table(inBlocks(blocks))}) AS ${this.#alias}${this.#filter}`;
  }

  #between({ after, upTo }: KeyRange, values: unknown[]): string[] {
    const { key } = this.#shape;
    const row = `(${key.map(({ sql }) => sql).join(', ')})`;
    const bound = (sign: string, bounds: readonly string[]): string =>
      `${row} ${sign} (${bounds.map((value, at) => `$${values.push(value)}::pg_catalog.text::${key[at]?.type ?? 'text'}`).join(', ')})`;
    return [...(after ? [bound('>', after)] : []), ...(upTo ? [bound('<=', upTo)] : [])];
  }
}

function inBlocks({ from, to }: Blocks): string[] {
  return [`ctid >= '(${from},0)'`, ...(to === null ? [] : [`ctid < '(${to},0)'`])];
}
