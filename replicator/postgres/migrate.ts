import { readdirSync, readFileSync } from 'node:fs';
import type { Client } from 'pg';
import { Problem } from '../problem.ts';
import { nameEventTrigger } from './event-triggers.ts';

const FOLDER = new URL('../../db/metadata/', import.meta.url);

/** Any number, the same in every pgfollow: two that start at once migrate one after the other. */
const MIGRATION_LOCK = 7_046_029_254_386_353n;

/**
 * Brings schema pgfollow on the target up to date with db/metadata/NNNN_name.sql, each file once, all in one
 * transaction under an advisory lock. Throws METADATA_NEWER when the schema was written by a newer pgfollow.
 */
export async function migrateMetadata(target: Client): Promise<void> {
  if ((await missingMigrations(target)).length === 0) return;
  await target.query('BEGIN');
  try {
    await target.query(`SELECT pg_catalog.pg_advisory_xact_lock(${MIGRATION_LOCK})`);
    for (const name of await missingMigrations(target)) {
      await target.query(readFileSync(new URL(name, FOLDER), 'utf8'));
      await target.query('INSERT INTO pgfollow.migration (name) VALUES ($1)', [name]);
    }
    await target.query('COMMIT');
  } catch (error) {
    await target.query('ROLLBACK').catch(() => {});
    await nameEventTrigger(target, 'target', error);
    throw error;
  }
}

/** Which files are still to be run. Throws METADATA_NEWER when the schema was written by a newer pgfollow. */
export async function missingMigrations(target: Client): Promise<string[]> {
  const files = readdirSync(FOLDER)
    .filter((name) => /^\d{4}_.*\.sql$/.test(name))
    .sort();
  const applied = await appliedMigrations(target);
  const newest = files.at(-1) ?? '';
  const newer = applied.filter((name) => name > newest);
  if (newer.length > 0) {
    throw new Problem(
      'METADATA_NEWER',
      `Schema pgfollow on the target has migration ${newer.join(', ')}, which this version does not know.`,
      {
        remedy: 'Run the pgfollow version that wrote it, or a newer one.',
      },
    );
  }
  return files.filter((file) => !applied.includes(file));
}

async function appliedMigrations(target: Client): Promise<string[]> {
  const known = await target.query<{ known: boolean }>(
    `SELECT pg_catalog.to_regclass('pgfollow.migration') IS NOT NULL AS known`,
  );
  if (!known.rows[0]?.known) return [];
  const { rows } = await target.query<{ name: string }>('SELECT name FROM pgfollow.migration ORDER BY name');
  return rows.map((row) => row.name);
}
