import type { Client } from 'pg';
import { displayName, type RelationName } from '../catalog/relation.ts';

/** A table that was added or removed by command. */
export interface TableChoice {
  readonly source: RelationName;
  readonly followed: boolean;
}

/** The tables that were removed by command, by their names on the source. */
export function removedOnes(choices: readonly TableChoice[]): ReadonlySet<string> {
  return new Set(choices.filter(({ followed }) => !followed).map(({ source }) => displayName(source)));
}

export async function readChoices(target: Client, pipeline: string): Promise<TableChoice[]> {
  const { rows } = await target.query<{ schema: string; name: string; followed: boolean }>(
    'SELECT source_schema AS schema, source_table AS name, followed FROM pgfollow.table_choice WHERE pipeline = $1',
    [pipeline],
  );
  return rows.map(({ schema, name, followed }) => ({ source: { schema, name }, followed }));
}

/** `followed`: null where the patterns of the configuration are to say it again. */
export async function storeChoice(
  target: Client,
  pipeline: string,
  { source, followed }: { source: RelationName; followed: boolean | null },
): Promise<void> {
  if (followed === null) {
    const sql = 'DELETE FROM pgfollow.table_choice WHERE pipeline = $1 AND source_schema = $2 AND source_table = $3';
    await target.query(sql, [pipeline, source.schema, source.name]);
    return;
  }
  await target.query(
    `INSERT INTO pgfollow.table_choice (pipeline, source_schema, source_table, followed) VALUES ($1, $2, $3, $4)
     ON CONFLICT (pipeline, source_schema, source_table) DO UPDATE SET followed = EXCLUDED.followed`,
    [pipeline, source.schema, source.name, followed],
  );
}
