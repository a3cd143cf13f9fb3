import type { Client } from 'pg';
import { readRelations } from '../catalog/read-relations.ts';
import { displayName, type TableMapping } from '../catalog/relation.ts';
import type { Config } from '../config/schema.ts';
import { readCreatedTables } from '../metadata/created-tables.ts';
import { readChoices } from '../metadata/table-choices.ts';
import { inTurn } from '../schema/build-steps.ts';
import { planForeignKeys } from '../schema/foreign-keys.ts';
import { planTables } from '../schema/read-parts.ts';
import { readMappings } from './mappings.ts';

/** Something that a table of ours on the target would have got after its rows. */
export interface UnbuiltPart {
  /** `schema.table` on the target. */
  readonly table: string;
  /** Kind and name on the source. */
  readonly part: string;
  readonly sql: readonly string[];
}

/**
 * What is still to be made of the target tables that this pipeline has created, in the order in which it can be made: keys, indexes and
 * constraints, then foreign keys.
 */
export async function readUnbuiltParts(
  { source, target }: { source: Client; target: Client },
  config: Config,
  versions: { readonly sourceVersion: number; readonly targetVersion: number },
): Promise<UnbuiltPart[]> {
  const created = await readCreatedTables(target, config.name);
  if ([...created.values()].every(({ built, linked }) => built && linked)) return [];
  const relations = await readRelations(source);
  const choices = await readChoices(target, config.name);
  const { mappings } = await readMappings(source, relations, config, { ...versions, choices });
  const oids = new Map(relations.map((relation) => [displayName(relation), relation.oid]));
  const pick = (lacks: (mapping: TableMapping) => boolean | undefined) =>
    mappings.flatMap((mapping) => {
      const oid = oids.get(displayName(mapping.source));
      return oid !== undefined && lacks(mapping) ? [{ oid, mapping }] : [];
    });
  const of = ({ target: to }: TableMapping) => created.get(displayName(to));
  const unbuilt = pick((mapping) => of(mapping)?.built === false);
  const unlinked = pick((mapping) => of(mapping)?.linked === false);
  const plans = await planTables({ source, target }, config.name, unbuilt);
  const keys = await planForeignKeys({ source, target }, config.name, unlinked, {
    mappingOf: (name) => mappings.find((mapping) => displayName(mapping.source) === displayName(name)) ?? null,
    targetVersion: versions.targetVersion,
  });
  return [
    ...plans.flatMap(({ mapping, steps }) =>
      inTurn(steps).map(({ part, sql }) => ({ table: displayName(mapping.target), part, sql })),
    ),
    ...keys.flatMap((each, at) =>
      each
        .filter(({ impossible }) => impossible === null)
        .map(({ part, add, validate }) => ({
          table: displayName(unlinked[at]?.mapping.target ?? { schema: '', name: '' }),
          part,
          sql: [...add, ...validate],
        })),
    ),
  ];
}
