import type { Client } from 'pg';
import type { RelationName } from '../catalog/relation.ts';

/** A table that was added or removed by command. */
export interface TableChoice {
  readonly source: RelationName;
  readonly followed: boolean;
}

export async function readChoices(target: Client, pipeline: string): Promise<TableChoice[]> {
  const { rows } = await target.query<{ schema: string; name: string; followed: boolean }>(
    'SELECT source_schema AS schema, source_table AS name, followed FROM pgfollow.table_choice WHERE pipeline = $1',
    [pipeline],
  );
  return rows.map(({ schema, name, followed }) => ({ source: { schema, name }, followed }));
}

export async function storeChoice(target: Client, pipeline: string, { source, followed }: TableChoice): Promise<void> {
  await target.query(
    `INSERT INTO pgfollow.table_choice (pipeline, source_schema, source_table, followed) VALUES ($1, $2, $3, $4)
     ON CONFLICT (pipeline, source_schema, source_table) DO UPDATE SET followed = EXCLUDED.followed`,
    [pipeline, source.schema, source.name, followed],
  );
}
