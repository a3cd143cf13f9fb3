import type { Client } from 'pg';
import { cameAsText, streamFault, type ServerVersions } from '../catalog/binary.ts';
import { isBuiltIn } from '../catalog/built-in.ts';
import type { ColumnType } from '../catalog/relation.ts';
import type { Oid } from '../postgres/oid.ts';
import type { StreamColumn, StreamRelation } from '../pgoutput/messages.ts';
import { typeExchanged } from './reshape-rows.ts';
import { sourceType, type KnownColumn, type RowMap } from './row-map.ts';

/** What the source can still say of types that rows on their way are of. */
export interface SourceCatalog {
  readonly versions: ServerVersions;
  /** Those of these types that it has now. */
  readonly types: (oids: readonly Oid[]) => Promise<ReadonlyMap<Oid, ColumnType>>;
}

/**
 * What is known of the stream's columns: by the catalogs as they were read last, and of those that had another type when these
 * rows were written, or got one since, by what the stream calls it (the type behind a domain), or the source's catalog as it is now.
 */
export async function knownColumns(
  relation: StreamRelation,
  { columns, binary }: { columns: readonly KnownColumn[]; binary: boolean },
  { client, source }: { client: Client; source: SourceCatalog },
): Promise<readonly KnownColumn[]> {
  const isKnown = ({ name, typeOid }: StreamColumn): boolean =>
    isBuiltIn(typeOid) || columns.some((known) => known.source.name === name && known.source.type.oid === typeOid);
  const others = relation.columns.filter((column) => !isKnown(column));
  if (others.length === 0) return columns;
  const builtIn = await builtInTypes(client, others);
  const domains = others.flatMap((column): KnownColumn[] => {
    const baseOid = column.base?.schema === 'pg_catalog' ? builtIn.get(column.base.name) : undefined;
    return baseOid === undefined ? [] : [{ source: { name: column.name, type: { oid: column.typeOid, baseOid } } }];
  });
  const rest = others.filter(({ name }) => !domains.some((known) => known.source.name === name));
  // Text is read by the target's type, whatever it was.
  if (!binary || rest.length === 0) return [...columns, ...domains];
  const types = await source.types(rest.map(({ typeOid }) => typeOid));
  const found = rest.flatMap(({ name, typeOid }): KnownColumn[] => {
    const type = types.get(typeOid);
    return type ? [{ source: { name, type } }] : [];
  });
  return [...columns, ...domains, ...found];
}

/** Throws TYPE_EXCHANGED where the target would take the binary form of a type of one's own for that of another. */
export function refuseOtherTypes(
  { table, relation, columns, binary }: RowMap,
  known: readonly KnownColumn[],
  versions: ServerVersions,
): void {
  if (!binary) return;
  for (const { index, target } of columns) {
    const column = relation.columns[index];
    const type = column && sourceType(column, known);
    if (!type || isBuiltIn(type.baseOid) || cameAsText(type)) continue;
    if (!type.form || streamFault(type.form, target.type, versions) !== null) throw typeExchanged(table, `column ${column.name}`);
  }
}

// Their names are the same in every database, and so are their OIDs.
async function builtInTypes(client: Client, columns: readonly StreamColumn[]): Promise<Map<string, Oid>> {
  const names = columns.flatMap(({ base }) => (base?.schema === 'pg_catalog' ? [base.name] : []));
  if (names.length === 0) return new Map();
  const { rows } = await client.query<{ name: string; oid: Oid }>(
    `SELECT typname::pg_catalog.text AS name, oid FROM pg_catalog.pg_type
     WHERE typnamespace = 'pg_catalog'::pg_catalog.regnamespace AND typname = ANY ($1::pg_catalog.name[])`,
    [names],
  );
  return new Map(rows.filter(({ oid }) => isBuiltIn(oid)).map(({ name, oid }) => [name, oid]));
}
