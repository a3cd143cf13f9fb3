import type { Client } from 'pg';
import { groupBy } from '../catalog/group-by.ts';
import { displayName, type Relation, type RelationName, type TableMapping } from '../catalog/relation.ts';
import { storeCreated } from '../metadata/created-tables.ts';
import type { Oid } from '../postgres/oid.ts';
import { describeError, isTransient, sqlState } from '../postgres/sqlstate.ts';
import { Problem } from '../problem.ts';
import { memberTarget, type TreeDefinition } from './definition.ts';
import { freeName } from './free-name.ts';
import { inOrder, type Piece } from './piece.ts';
import { readTrees } from './read-definitions.ts';
import { readNeeds, schemaId, schemaPiece, tableId } from './read-needs.ts';
import { createTreeSql, type Places } from './table-sql.ts';

/** So many things a transaction of the target: each table holds locks until its end, and room for locks is small. */
const PIECES_A_TRANSACTION = 50;
/** Any number, the same in every pgfollow: two pipelines that need the same type make it one after the other. */
const CREATE_LOCK = 5_318_008_271_828_182n;

/** A followed table that the target lacks. */
export interface MissingTable {
  readonly source: Relation;
  readonly mapping: TableMapping;
}

export interface Created {
  /** What was made, for people, in its order. */
  readonly labels: readonly string[];
  /** Followed tables that were made, by source name. */
  readonly tables: ReadonlySet<string>;
  /** Functions that were needed, by OID on the source. */
  readonly functions: readonly Oid[];
  /** Why tables could not be made, by source name. */
  readonly problems: ReadonlyMap<string, Problem>;
}

export interface CreateOptions {
  readonly pipeline: string;
  /** All followed tables: what may be inherited from. */
  readonly mappings: readonly TableMapping[];
  /** Tables on the target that we made before, by display name there. */
  readonly made: ReadonlySet<string>;
  readonly signal?: AbortSignal;
}

/**
 * Makes tables on the target that are missing there, without rows, indexes and constraints, and whatever they need: schemas,
 * extensions, types, functions, sequences. What is there already is left as it is. A table that cannot be made leaves
 * nothing behind and is told; the others go on. Both clients are for this alone.
 */
export async function createMissing(
  ends: { source: Client; target: Client },
  missing: readonly MissingTable[],
  options: CreateOptions,
): Promise<Created> {
  const trees = await readTrees(
    ends.source,
    missing.map(({ source, mapping }) => ({ oid: source.oid, mapping })),
  );
  const pieces = inOrder(await plan(ends, trees, options));
  const functions = pieces.filter(({ address }) => address.type === 'function').map(({ id }) => Number(id.split(' ')[1]));
  return { ...(await new Making(ends.target, options.pipeline).make(pieces)), functions };
}

async function plan(
  { source, target }: { source: Client; target: Client },
  trees: readonly TreeDefinition[],
  options: CreateOptions,
): Promise<Piece[]> {
  const members = trees.flatMap((tree) => tree.members);
  const rootOf = new Map<Oid, Oid>();
  for (const tree of trees) for (const member of tree.members) rootOf.set(member.oid, tree.members[0]?.oid ?? member.oid);
  const needs = await readNeeds(
    source,
    members.map(({ oid }) => oid),
  );
  const places: Places = {
    sequences: placeSequences(trees, needs.sequences, await takenNames(target, trees)),
    parents: await heritable(source, trees, options),
  };
  const treeIds = new Map([...rootOf].map(([oid, root]) => [tableId(oid), tableId(root)]));
  const tables = trees.map((tree): Piece => {
    const [root] = tree.members;
    const targets = tree.members.map((member) => memberTarget(tree.mapping, member));
    const needed = tree.members.flatMap((member) => needs.ofTable.get(member.oid) ?? []);
    return {
      id: tableId(root?.oid ?? 0),
      label: `table ${displayName(tree.mapping.target)}`,
      needs: [...targets.map(({ schema }) => schemaId(schema)), ...needed.map((id) => treeIds.get(id) ?? id)],
      address: { type: 'table', names: [tree.mapping.target.schema, tree.mapping.target.name], args: [] },
      sql: createTreeSql(tree, places),
      table: { source: tree.mapping.source, target: tree.mapping.target },
    };
  });
  const schemas = new Set(tables.flatMap((piece) => piece.needs).filter((id) => id.startsWith('schema ')));
  const known = new Set(needs.pieces.map(({ id }) => id));
  return [
    ...[...schemas].filter((id) => !known.has(id)).map((id) => schemaPiece(id.slice('schema '.length))),
    ...needs.pieces.map((piece) => ({ ...piece, needs: piece.needs.map((id) => treeIds.get(id) ?? id) })),
    ...tables,
  ];
}

// Sequences of a table go with it, since they must be in its schema; others keep their place.
function placeSequences(
  trees: readonly TreeDefinition[],
  others: readonly { oid: Oid; schema: string; name: string; regclass: string }[],
  taken: ReadonlySet<string>,
): Places['sequences'] {
  const used = new Set(taken);
  const places = new Map<Oid, { regclass: string; target: RelationName }>();
  for (const { oid, schema, name, regclass } of others) places.set(oid, { regclass, target: { schema, name } });
  for (const { mapping, members } of trees) {
    for (const member of members) {
      const table = memberTarget(mapping, member);
      for (const { oid, name, regclass } of member.sequences) {
        const target = freeName({ schema: table.schema, name }, table, (each) => used.has(displayName(each)));
        used.add(displayName(target));
        places.set(oid, { regclass, target });
      }
    }
  }
  return places;
}

async function takenNames(target: Client, trees: readonly TreeDefinition[]): Promise<Set<string>> {
  const schemas = trees.flatMap(({ mapping, members }) => members.map((member) => memberTarget(mapping, member).schema));
  const { rows } = await target.query<{ schema: string; name: string }>(
    `SELECT n.nspname AS schema, c.relname AS name FROM pg_catalog.pg_class c
       JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = ANY ($1)`,
    [[...new Set(schemas)]],
  );
  return new Set(rows.map(displayName));
}

// A table inherits from what we make, or have made, where both carry the same columns under the same names. Others stand alone.
async function heritable(source: Client, trees: readonly TreeDefinition[], options: CreateOptions): Promise<Places['parents']> {
  const heirs = trees.flatMap(({ members }) => members.filter((member) => member.bound === null));
  const oids = [...new Set(heirs.flatMap((heir) => heir.parents))];
  const parents = new Map<Oid, RelationName>();
  if (oids.length === 0) return parents;
  const { rows } = await source.query<{ oid: Oid; schema: string; name: string }>(
    `SELECT c.oid, n.nspname AS schema, c.relname AS name FROM pg_catalog.pg_class c
       JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = ANY ($1)`,
    [oids],
  );
  const mappings = new Map(options.mappings.map((mapping) => [displayName(mapping.source), mapping]));
  const made = new Set([...options.made, ...trees.map(({ mapping }) => displayName(mapping.target))]);
  const plain = ({ excludeColumns, renameColumns }: TableMapping): boolean =>
    excludeColumns.length === 0 && Object.keys(renameColumns).length === 0;
  const heirsOf = groupBy(
    trees.flatMap((tree) => tree.members.flatMap(({ parents: from }) => from.map((oid) => ({ oid, mapping: tree.mapping })))),
    ({ oid }) => oid,
  );
  for (const row of rows) {
    const mapping = mappings.get(displayName(row));
    const fits = mapping && plain(mapping) && (heirsOf.get(row.oid) ?? []).every((heir) => plain(heir.mapping));
    if (fits && made.has(displayName(mapping.target))) parents.set(row.oid, mapping.target);
  }
  return parents;
}

class Making {
  readonly #target: Client;
  readonly #pipeline: string;
  readonly #labels: string[] = [];
  readonly #tables = new Set<string>();
  readonly #problems = new Map<string, Problem>();
  /** Why a piece is not there, by its id. */
  readonly #failures = new Map<string, string>();

  constructor(target: Client, pipeline: string) {
    this.#target = target;
    this.#pipeline = pipeline;
  }

  async make(pieces: readonly Piece[]): Promise<Omit<Created, 'functions'>> {
    // Bodies of functions may name what is made later, or never.
    await this.#target.query('SET check_function_bodies = off');
    for (let at = 0; at < pieces.length; at += PIECES_A_TRANSACTION) {
      await this.#target.query('BEGIN');
      await this.#target.query(`SELECT pg_catalog.pg_advisory_xact_lock(${CREATE_LOCK})`);
      for (const piece of pieces.slice(at, at + PIECES_A_TRANSACTION)) await this.#piece(piece);
      await this.#target.query('COMMIT');
    }
    return { labels: this.#labels, tables: this.#tables, problems: this.#problems };
  }

  async #piece(piece: Piece): Promise<void> {
    await this.#target.query('SAVEPOINT piece');
    try {
      if (!(await this.#isThere(piece))) await this.#create(piece);
      await this.#target.query('RELEASE SAVEPOINT piece');
    } catch (error) {
      if (sqlState(error) === null || isTransient(error)) throw error;
      await this.#target.query('ROLLBACK TO SAVEPOINT piece');
      this.#fail(piece, describeError(error));
    }
  }

  async #isThere({ address }: Piece): Promise<boolean> {
    await this.#target.query('SAVEPOINT look');
    try {
      await this.#target.query('SELECT pg_catalog.pg_get_object_address($1, $2, $3)', [
        address.type,
        address.names,
        address.args,
      ]);
      return true;
    } catch (error) {
      // No such thing, or none of the types of its arguments, or no such schema.
      if (!/^(?:42|3F)/.test(sqlState(error) ?? '')) throw error;
      await this.#target.query('ROLLBACK TO SAVEPOINT look');
      return false;
    }
  }

  async #create(piece: Piece): Promise<void> {
    const reason = piece.needs.map((id) => this.#failures.get(id)).find((each) => each !== undefined);
    if (reason !== undefined) return this.#fail(piece, reason);
    if (piece.sql === null) return this.#fail(piece, `${piece.label} does not exist there, and pgfollow does not create it`);
    await this.#target.query(piece.sql.join(';\n'));
    this.#labels.push(piece.label);
    if (!piece.table) return;
    await storeCreated(this.#target, this.#pipeline, piece.table.target);
    this.#tables.add(displayName(piece.table.source));
  }

  #fail(piece: Piece, reason: string): void {
    const why =
      piece.table || this.#failures.has(piece.id) || reason.startsWith(piece.label) ? reason : `${piece.label}: ${reason}`;
    this.#failures.set(piece.id, why);
    if (!piece.table) return;
    const table = displayName(piece.table.source);
    this.#problems.set(table, notCreated(table, piece.table.target, why));
  }
}

function notCreated(table: string, target: RelationName, reason: string): Problem {
  return new Problem('SCHEMA_NOT_CREATED', `${table} could not be created on the target: ${reason}.`, {
    table,
    remedy:
      `Mend what the message names on the target, or create ${displayName(target)} yourself: it is tried again by itself. ` +
      `Or leave the table out with tables.exclude.`,
  });
}
