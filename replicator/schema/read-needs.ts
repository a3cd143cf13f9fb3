import type { Client } from 'pg';
import { groupBy } from '../catalog/group-by.ts';
import type { Oid } from '../postgres/oid.ts';
import { quoteIdent, quoteRelation } from '../postgres/quote.ts';
import { bringSql } from './bring.ts';
import { commentSql } from './table-sql.ts';
import type { Piece } from './piece.ts';
import type { SequenceDefinition } from './definition.ts';
import { readSequences } from './read-definitions.ts';
import {
  COLLATION_SQL,
  CONFIGURATION_SQL,
  COMPOSITE_SQL,
  DICTIONARY_SQL,
  DOMAIN_SQL,
  EDGES,
  ENUM_SQL,
  EXTENSION_SQL,
  FUNCTION_SQL,
  OBJECTS,
  RANGE_SQL,
  type EdgeRow,
  type ObjectId,
  type ObjectRow,
  type StatementRow,
} from './need-queries.ts';

/** What tables need beside themselves. */
export interface Needs {
  /** Types, functions, sequences and so on, with what these need in turn; schemas are not among them. */
  readonly pieces: readonly Piece[];
  /** What each of the asked tables needs before its rows: ids of pieces, and tableId() of other tables. */
  readonly ofTable: ReadonlyMap<Oid, readonly string[]>;
  /** Sequences that no asked table owns. */
  readonly sequences: readonly SequenceDefinition[];
}

export function tableId(oid: Oid): string {
  return `table ${oid}`;
}

export function schemaId(name: string): string {
  return `schema ${name}`;
}

export function schemaPiece(name: string): Piece {
  return {
    id: schemaId(name),
    label: `schema ${name}`,
    needs: [],
    address: { type: 'schema', names: [name], args: [] },
    sql: [`CREATE SCHEMA ${quoteIdent(name)}`],
    table: null,
  };
}

/**
 * Follows the source's dependencies from the tables (partitions too) to all that they need: for columns and defaults, and for
 * the indexes and constraints that come after the rows. What belongs to an extension stands for the extension.
 */
export async function readNeeds(source: Client, tables: readonly Oid[]): Promise<Needs> {
  const walk = new Walk(source, tables);
  const pgClass = await classOid(source);
  const start = tables.map((objid) => ({ classid: pgClass, objid }));
  const before = await walk.edges(start, false);
  const after = await walk.edges(start, true);
  await walk.onwards([...before, ...after]);
  const ofTable = new Map<Oid, string[]>();
  for (const [objid, edges] of groupBy(before, (edge) => edge.objid)) ofTable.set(objid, walk.ids(edges));
  return { ...(await walk.pieces(pgClass)), ofTable };
}

async function classOid(source: Client): Promise<Oid> {
  const { rows } = await source.query<{ oid: Oid }>(`SELECT 'pg_catalog.pg_class'::pg_catalog.regclass::pg_catalog.oid AS oid`);
  return rows[0]?.oid ?? 1259;
}

const STATEMENTS: Readonly<Partial<Record<ObjectRow['kind'], string>>> = {
  extension: EXTENSION_SQL,
  enum: ENUM_SQL,
  domain: DOMAIN_SQL,
  composite: COMPOSITE_SQL,
  range: RANGE_SQL,
  collation: COLLATION_SQL,
  configuration: CONFIGURATION_SQL,
  dictionary: DICTIONARY_SQL,
  function: FUNCTION_SQL,
};

class Walk {
  readonly #source: Client;
  readonly #tables: readonly Oid[];
  readonly #asked: ReadonlySet<Oid>;
  readonly #objects = new Map<string, ObjectRow>();
  readonly #needs = new Map<string, EdgeRow[]>();

  constructor(source: Client, tables: readonly Oid[]) {
    this.#source = source;
    this.#tables = tables;
    this.#asked = new Set(tables);
  }

  async edges(of: readonly ObjectId[], after: boolean): Promise<EdgeRow[]> {
    if (of.length === 0) return [];
    const values = [of.map(({ classid }) => classid), of.map(({ objid }) => objid), after];
    return (await this.#source.query<EdgeRow>(EDGES, values)).rows;
  }

  /** Learns what these lead to, and goes on from there. Tables are not gone into: they are followed themselves, or must be there. */
  async onwards(edges: readonly EdgeRow[]): Promise<void> {
    let found = edges.map(referred);
    while (found.length > 0) {
      const unknown = distinct(found).filter((each) => !this.#objects.has(key(each)));
      if (unknown.length === 0) return;
      const values = [unknown.map(({ classid }) => classid), unknown.map(({ objid }) => objid), this.#tables];
      const rows = (await this.#source.query<ObjectRow>(OBJECTS, values)).rows;
      for (const row of rows) this.#objects.set(key(row), row);
      const aliases = rows.filter(({ kind }) => kind === 'alias').map(aliased);
      const next = await this.edges(
        rows.filter(({ kind }) => kind !== 'alias' && kind !== 'table' && kind !== 'extension' && kind !== 'other'),
        false,
      );
      for (const edge of next) this.#needs.set(key(edge), [...(this.#needs.get(key(edge)) ?? []), edge]);
      found = [...aliases, ...next.map(referred)];
    }
  }

  ids(edges: readonly EdgeRow[]): string[] {
    return [...new Set(edges.map((edge) => this.#id(referred(edge))).filter((id) => id !== null))];
  }

  async pieces(pgClass: Oid): Promise<Pick<Needs, 'pieces' | 'sequences'>> {
    const objects = [...this.#objects.values()].filter(({ kind }) => kind !== 'alias' && kind !== 'schema');
    const own = objects.filter((row) => row.kind !== 'table' || !this.#asked.has(row.objid));
    const oidsOf = (kind: ObjectRow['kind']): Oid[] => own.filter((row) => row.kind === kind).map(({ objid }) => objid);
    const sequences = await readSequences(this.#source, oidsOf('sequence'));
    const statements = new Map(sequences.map((sequence) => [`${pgClass} ${sequence.oid}`, sequenceStatement(sequence)]));
    for (const [kind, sql] of Object.entries(STATEMENTS) as [ObjectRow['kind'], string][]) {
      const oids = oidsOf(kind);
      if (oids.length === 0) continue;
      const { rows } = await this.#source.query<StatementRow>(sql, [oids]);
      const byOid = new Map(rows.map((row) => [row.oid, row]));
      for (const object of own.filter((row) => row.kind === kind)) {
        const row = byOid.get(object.objid);
        if (row) statements.set(key(object), row);
      }
    }
    const pieces = own.map((object): Piece => {
      const statement = statements.get(key(object));
      return {
        id: this.#id(object) ?? key(object),
        label: object.description,
        needs: [...(statement ? [schemaId(statement.schema)] : []), ...this.ids(this.#needs.get(key(object)) ?? [])],
        address: { type: object.type, names: object.names, args: object.args },
        sql: statement ? [statement.sql] : null,
        ...(object.kind === 'other' ? { bring: bringSql(object) } : {}),
        table: null,
      };
    });
    const schemas = new Set([...statements.values()].map(({ schema }) => schema));
    return { pieces: [...[...schemas].map(schemaPiece), ...pieces], sequences };
  }

  // Null for schemas, which are asked for by name: a table may go to another one.
  #id(object: ObjectId): string | null {
    let row = this.#objects.get(key(object));
    while (row?.kind === 'alias') row = this.#objects.get(key(aliased(row))) ?? { ...row, ...aliased(row), kind: 'table' };
    if (!row || row.kind === 'schema') return null;
    return row.kind === 'table' ? tableId(row.objid) : key(row);
  }
}

function sequenceStatement(sequence: SequenceDefinition): StatementRow {
  const name = quoteRelation(sequence);
  const sql = [`CREATE SEQUENCE ${name} ${sequence.options}`, ...commentSql(`SEQUENCE ${name}`, sequence.comment)].join('; ');
  return { oid: sequence.oid, schema: sequence.schema, sql };
}

function key({ classid, objid }: ObjectId): string {
  return `${classid} ${objid}`;
}

function referred({ refclassid, refobjid }: EdgeRow): ObjectId {
  return { classid: refclassid, objid: refobjid };
}

function aliased({ classid, objid, aliasclass, aliasid }: ObjectRow): ObjectId {
  return { classid: aliasclass ?? classid, objid: aliasid ?? objid };
}

function distinct(objects: readonly ObjectId[]): ObjectId[] {
  return [...new Map(objects.map((object) => [key(object), object])).values()];
}
