import type { Client } from 'pg';
import type { RelationName } from '../catalog/relation.ts';

/** A REPLICA IDENTITY that we gave to a table of the source; both clauses as ALTER TABLE … REPLICA IDENTITY takes them. */
export interface GivenIdentity {
  readonly relation: RelationName;
  readonly identity: string;
  readonly before: string;
}

/** Writes down what is about to be set, so that a crash in between leaves nothing unknown. What was before stays as noted first. */
export async function noteIdentities(target: Client, pipeline: string, given: readonly GivenIdentity[]): Promise<void> {
  for (const { relation, identity, before } of given) {
    await target.query(
      `INSERT INTO pgfollow.replica_identity (pipeline, source_schema, source_table, identity, before) VALUES ($1, $2, $3, $4, $5)
       ON CONFLICT (pipeline, source_schema, source_table) DO UPDATE SET identity = EXCLUDED.identity`,
      [pipeline, relation.schema, relation.name, identity, before],
    );
  }
}

/** Everything that was written down, by table; not all of it need have come to pass. */
export async function readIdentities(target: Client, pipeline: string): Promise<GivenIdentity[]> {
  const { rows } = await target.query<{ schema: string; name: string; identity: string; before: string }>(
    `SELECT source_schema AS schema, source_table AS name, identity, before FROM pgfollow.replica_identity WHERE pipeline = $1 ORDER BY 1, 2`,
    [pipeline],
  );
  return rows.map(({ schema, name, identity, before }) => ({ relation: { schema, name }, identity, before }));
}
