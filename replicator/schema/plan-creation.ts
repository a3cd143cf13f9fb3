import type { Client } from 'pg';
import { groupBy } from '../catalog/group-by.ts';
import { displayName, type Relation, type RelationName, type TableMapping } from '../catalog/relation.ts';
import type { Oid } from '../postgres/oid.ts';
import { memberTarget, type TreeDefinition } from './definition.ts';
import { existingNames } from './existing-names.ts';
import { freeName } from './free-name.ts';
import { inOrder, type Piece } from './piece.ts';
import { readTrees } from './read-definitions.ts';
import { readNeeds, schemaId, schemaPiece, tableId } from './read-needs.ts';
import { createTreeSql, type Places } from './table-sql.ts';

/** A followed table that the target lacks. */
export interface MissingTable {
  readonly source: Relation;
  readonly mapping: TableMapping;
}

export interface CreateOptions {
  /** All followed tables: what may be inherited from. */
  readonly mappings: readonly TableMapping[];
  /** Tables on the target that we made before, by display name there. */
  readonly made: ReadonlySet<string>;
}

/**
 * What has to be made on the target for the tables that are missing there, in its order: the tables without rows, indexes and
 * constraints, and before them whatever they need: schemas, extensions, types, functions, sequences.
 */
export async function planCreation(
  { source, target }: { source: Client; target: Client },
  missing: readonly MissingTable[],
  options: CreateOptions,
): Promise<Piece[]> {
  const found = await readTrees(
    source,
    missing.map(({ source: { oid }, mapping }) => ({ oid, mapping })),
  );
  // One that was dropped in the meantime has none.
  const trees = found.filter(({ members }) => members.length > 0);
  const members = trees.flatMap((tree) => tree.members);
  const rootOf = new Map<Oid, Oid>();
  for (const tree of trees) for (const member of tree.members) rootOf.set(member.oid, tree.members[0]?.oid ?? member.oid);
  const needs = await readNeeds(
    source,
    members.map(({ oid }) => oid),
  );
  const places: Places = {
    ...placeSequences(trees, needs.sequences, await takenNames(target, trees)),
    parents: await heritable(source, trees, options),
  };
  const treeIds = new Map([...rootOf].map(([oid, root]) => [tableId(oid), tableId(root)]));
  const tables = trees.map((tree): Piece => {
    const [root] = tree.members;
    const targets = tree.members.map((member) => memberTarget(tree.mapping, member));
    // A parent that is not made now is there, or the table stands alone.
    const needed = tree.members.flatMap((member) => {
      const absent = member.parents.filter((oid) => !rootOf.has(oid)).map(tableId);
      return (needs.ofTable.get(member.oid) ?? []).filter((id) => !absent.includes(id));
    });
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
  return inOrder([
    ...[...schemas].filter((id) => !known.has(id)).map((id) => schemaPiece(id.slice('schema '.length))),
    ...needs.pieces.map((piece) => ({ ...piece, needs: piece.needs.map((id) => treeIds.get(id) ?? id) })),
    ...tables,
  ]);
}

// Sequences of a table go with it, since they must be in its schema; others keep their place.
function placeSequences(
  trees: readonly TreeDefinition[],
  others: readonly { oid: Oid; schema: string; name: string; regclass: string }[],
  taken: ReadonlySet<string>,
): Pick<Places, 'sequences' | 'regclasses'> {
  const used = new Set(taken);
  const sequences = new Map<Oid, RelationName>();
  const regclasses = new Map<string, RelationName>();
  const place = (oid: Oid, regclass: string, target: RelationName): void => {
    sequences.set(oid, target);
    regclasses.set(regclass, target);
  };
  for (const { oid, schema, name, regclass } of others) place(oid, regclass, { schema, name });
  for (const { mapping, members } of trees) {
    for (const member of members) {
      const table = memberTarget(mapping, member);
      for (const { oid, name, regclass } of member.sequences) {
        const target = freeName({ schema: table.schema, name }, table, (each) => used.has(displayName(each)));
        used.add(displayName(target));
        place(oid, regclass, target);
      }
    }
  }
  return { sequences, regclasses };
}

// Of the names that the sequences would have.
async function takenNames(target: Client, trees: readonly TreeDefinition[]): Promise<Set<string>> {
  const wanted = trees.flatMap(({ mapping, members }) =>
    members.flatMap((member) => {
      const { schema } = memberTarget(mapping, member);
      return member.sequences.map(({ name }) => ({ schema, name }));
    }),
  );
  return await existingNames(target, wanted);
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
