import type { Client } from 'pg';
import { quoteRelation } from '../postgres/quote.ts';
import type { ForeignKey } from './foreign-keys.ts';

/** A foreign key that the target has already, by whatever name. */
export interface StandingKey {
  readonly part: string;
  readonly name: string;
  /** The rows that were there have been proven to hold to it. */
  readonly valid: boolean;
}

// Columns are pairs: in which order they are named makes no difference.
const STANDING = `
  SELECT DISTINCT ON (w.part) w.part, k.conname AS name, k.convalidated AS valid
    FROM pg_catalog.jsonb_to_recordset($1::pg_catalog.jsonb) w (part pg_catalog.text, own pg_catalog.text, other pg_catalog.text, pairs pg_catalog.jsonb)
    JOIN pg_catalog.pg_constraint k ON k.contype = 'f'
         AND k.conrelid = pg_catalog.to_regclass(w.own) AND k.confrelid = pg_catalog.to_regclass(w.other),
    LATERAL (SELECT pg_catalog.jsonb_agg(pg_catalog.jsonb_build_array(a.attname, b.attname)) AS pairs
               FROM ROWS FROM (unnest(k.conkey), unnest(k.confkey)) AS x (own, other)
               JOIN pg_catalog.pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = x.own
               JOIN pg_catalog.pg_attribute b ON b.attrelid = k.confrelid AND b.attnum = x.other) there
   WHERE there.pairs @> w.pairs AND there.pairs <@ w.pairs
   ORDER BY w.part, k.convalidated DESC, k.conname`;

/** Which of these foreign keys the target has, by their parts: somebody has made them, or a crash has left them. */
export async function readStandingKeys(target: Client, keys: readonly ForeignKey[]): Promise<Map<string, StandingKey>> {
  const wanted = keys.flatMap(({ part, shape }) =>
    shape === null
      ? []
      : [
          {
            part,
            own: quoteRelation(shape.table),
            other: quoteRelation(shape.to),
            pairs: shape.columns.map((column, at) => [column, shape.toColumns[at]]),
          },
        ],
  );
  if (wanted.length === 0) return new Map();
  const { rows } = await target.query<StandingKey>(STANDING, [JSON.stringify(wanted)]);
  return new Map(rows.map((row) => [row.part, row]));
}

/** Whether that is as much as is wanted. */
export function isEnough({ shape }: ForeignKey, standing: StandingKey): boolean {
  return standing.valid || shape?.proven === false;
}
