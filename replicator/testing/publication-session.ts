import type { Client } from 'pg';
import { expect } from 'vitest';
import { readRelations } from '../catalog/read-relations.ts';
import { resolveTables } from '../catalog/resolve-tables.ts';
import type { RelationName, TableMapping } from '../catalog/relation.ts';
import { connect, disconnect } from '../postgres/connect.ts';
import { quoteRelation } from '../postgres/quote.ts';
import {
  ensurePublication,
  wantedTables,
  type EnsurePublicationOptions,
  type PublicationOutcome,
} from '../source/publication.ts';
import { sql, value, type TestDatabases } from './databases.ts';

export interface PublicationSession extends AsyncDisposable {
  readonly client: Client;
  /** Follows every table of the source, as a pipeline would. */
  ensure(overrides?: Overrides): Promise<PublicationOutcome>;
}

type Overrides = Partial<Omit<EnsurePublicationOptions, 'tables'>> & {
  map?: TableMapping[];
  exclude?: (name: RelationName) => boolean;
};

/** A pipeline's view of a source: one connection, and the publication brought in step on demand. */
export async function publicationSession(db: TestDatabases, url = db.source.url): Promise<PublicationSession> {
  const client = await connect({ role: 'source', url, purpose: 'test' });
  const version = await client.query<{ version: number }>(`select current_setting('server_version_num')::int as version`);
  const filterMemo = new Map<string, string>();
  return {
    client,
    async ensure({ map = [], exclude = () => false, ...overrides } = {}) {
      const relations = await readRelations(client);
      const viaPartitionRoot = overrides.viaPartitionRoot ?? true;
      const { mappings } = resolveTables(relations, { include: () => true, exclude, map, viaPartitionRoot });
      return ensurePublication(client, {
        name: db.name,
        viaPartitionRoot,
        tables: wantedTables(mappings, relations),
        lockTimeoutMs: 100,
        sourceVersion: version.rows[0]?.version ?? 0,
        createdByUs: true,
        filterMemo,
        ...overrides,
      });
    },
    async [Symbol.asyncDispose]() {
      await disconnect(client);
    },
  };
}

export const filtered = (table: string, where: string): TableMapping => {
  const name = { schema: 'public', name: table };
  return { source: name, target: name, excludeColumns: [], renameColumns: {}, where };
};

export const serverVersion = async (db: TestDatabases): Promise<number> =>
  Number(await value(db.source, 'SHOW server_version_num'));

/** What the application does must go on working: an UPDATE and a DELETE of every row, rolled back. */
export async function writesWork(db: TestDatabases, table: RelationName, column: string): Promise<void> {
  const name = quoteRelation(table);
  const touched = await sql(
    db.source,
    `BEGIN; CREATE TEMPORARY TABLE touched ON COMMIT DROP AS SELECT 0 AS n;
     WITH w AS (UPDATE ${name} SET ${column} = ${column} RETURNING 1) SELECT count(*) FROM w`,
  );
  const deleted = await sql(db.source, `WITH w AS (DELETE FROM ${name} RETURNING 1) SELECT count(*) FROM w`);
  await sql(db.source, 'ROLLBACK');
  expect([touched[0]?.['count'], deleted[0]?.['count']]).toEqual(['2', '2']);
}
