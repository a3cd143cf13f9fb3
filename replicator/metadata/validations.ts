import type { Client } from 'pg';
import type { RelationName } from '../catalog/relation.ts';
import { storeText } from './stored-text.ts';

/** What a comparison of both sides of a table found; times are RFC 3339. */
export interface StoredValidation {
  readonly state: 'equal' | 'different' | 'unsettled';
  readonly startedAt: string | null;
  readonly finishedAt: string;
  readonly equalAt: string | null;
  readonly rows: number;
  readonly missing: number;
  readonly extra: number;
  readonly different: number;
  readonly unsettled: number;
  readonly complete: boolean;
  readonly examples: readonly { readonly kind: 'missing' | 'extra' | 'different'; readonly key: string }[];
  readonly columnsNotCompared: readonly string[];
}

/** Stores what was found of a table last, in place of what was found before. */
export async function storeValidation(
  target: Client,
  pipeline: string,
  source: RelationName,
  found: StoredValidation,
): Promise<void> {
  const { examples, columnsNotCompared } = found;
  await storeText([...examples.map(({ key }) => key), ...columnsNotCompared], (texts) =>
    target.query(
      `INSERT INTO pgfollow.validation (pipeline, source_schema, source_table, state, started_at, finished_at, equal_at,
         rows, missing, extra, different, unsettled, complete, example_kinds, example_keys, columns_not_compared)
       VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)
       ON CONFLICT (pipeline, source_schema, source_table) DO UPDATE SET state = EXCLUDED.state,
         started_at = EXCLUDED.started_at, finished_at = EXCLUDED.finished_at, equal_at = EXCLUDED.equal_at,
         rows = EXCLUDED.rows, missing = EXCLUDED.missing, extra = EXCLUDED.extra, different = EXCLUDED.different,
         unsettled = EXCLUDED.unsettled, complete = EXCLUDED.complete, example_kinds = EXCLUDED.example_kinds,
         example_keys = EXCLUDED.example_keys, columns_not_compared = EXCLUDED.columns_not_compared, stored_at = EXCLUDED.stored_at`,
      [
        pipeline,
        source.schema,
        source.name,
        found.state,
        found.startedAt,
        found.finishedAt,
        found.equalAt,
        found.rows,
        found.missing,
        found.extra,
        found.different,
        found.unsettled,
        found.complete,
        examples.map(({ kind }) => kind),
        texts.slice(0, examples.length),
        texts.slice(examples.length),
      ],
    ),
  );
}

interface Row extends RelationName {
  state: StoredValidation['state'];
  started_at: Date | null;
  finished_at: Date;
  equal_at: Date | null;
  rows: string;
  missing: string;
  extra: string;
  different: string;
  unsettled: string;
  complete: boolean;
  example_kinds: StoredValidation['examples'][number]['kind'][];
  example_keys: string[];
  columns_not_compared: string[];
}

/** What was found last of tables that are followed, and have not been copied again since. */
export async function readValidations(
  target: Client,
  pipeline: string,
): Promise<{ source: RelationName; found: StoredValidation }[]> {
  const { rows } = await target.query<Row>(
    `SELECT source_schema AS schema, source_table AS name, v.state, started_at, finished_at, equal_at, rows, missing, extra, different,
            unsettled, complete, example_kinds, example_keys, columns_not_compared
       FROM pgfollow.validation v JOIN pgfollow.table_state t USING (pipeline, source_schema, source_table)
      WHERE pipeline = $1 AND left_at IS NULL AND (copy_finished_at IS NULL OR copy_finished_at < stored_at)`,
    [pipeline],
  );
  return rows.map(({ schema, name, ...row }) => ({
    source: { schema, name },
    found: {
      state: row.state,
      startedAt: row.started_at?.toISOString() ?? null,
      finishedAt: row.finished_at.toISOString(),
      equalAt: row.equal_at?.toISOString() ?? null,
      rows: Number(row.rows),
      missing: Number(row.missing),
      extra: Number(row.extra),
      different: Number(row.different),
      unsettled: Number(row.unsettled),
      complete: row.complete,
      examples: row.example_keys.map((key, at) => ({ kind: row.example_kinds[at] ?? 'different', key })),
      columnsNotCompared: row.columns_not_compared,
    },
  }));
}

/** The table is no longer followed: what comes back under its name is another one. */
export async function forgetValidation(target: Client, pipeline: string, source: RelationName): Promise<void> {
  await target.query('DELETE FROM pgfollow.validation WHERE pipeline = $1 AND source_schema = $2 AND source_table = $3', [
    pipeline,
    source.schema,
    source.name,
  ]);
}
