import { Client } from 'pg';
import { expect, test } from 'vitest';
import { ZERO_LSN, type Lsn } from '../postgres/lsn.ts';
import { migrateMetadata } from '../postgres/migrate.ts';
import { sql, testDatabases, value } from '../testing/databases.ts';
import { moveCheckpointSql } from './checkpoint.ts';
import { createPipeline, startCheckpoint } from './pipeline-row.ts';

const NAME = String.raw`it's a \ "name"`;
const lsn = (text: bigint): Lsn => text as Lsn;

test('the SQL, readable', () => {
  const move = { pipeline: 'shop', from: lsn(0x16_b374d848n), to: lsn(0x16_b374d900n) };
  expect(moveCheckpointSql({ ...move, sourceCommittedAtMs: Date.UTC(2026, 0, 31, 12, 0, 0, 7) })).toMatchInlineSnapshot(
    `"WITH moved AS (UPDATE pgfollow.checkpoint SET applied_lsn = '16/B374D900', source_committed_at = '2026-01-31T12:00:00.007Z'::pg_catalog.timestamptz, written_at = pg_catalog.clock_timestamp() WHERE pipeline = 'shop' AND applied_lsn = '16/B374D848' RETURNING 1) SELECT 1 / pg_catalog.count(*), pg_catalog.date_part('epoch', pg_catalog.clock_timestamp()) FROM moved"`,
  );
  expect(moveCheckpointSql({ ...move, from: ZERO_LSN, pipeline: NAME, sourceCommittedAtMs: null })).toMatchInlineSnapshot(
    `"WITH moved AS (UPDATE pgfollow.checkpoint SET applied_lsn = '16/B374D900', source_committed_at = source_committed_at, written_at = pg_catalog.clock_timestamp() WHERE pipeline =  E'it''s a \\\\ "name"' AND applied_lsn = '0/0' RETURNING 1) SELECT 1 / pg_catalog.count(*), pg_catalog.date_part('epoch', pg_catalog.clock_timestamp()) FROM moved"`,
  );
});

test('moves from where it was left, and from nowhere else', async () => {
  await using db = await testDatabases();
  const client = new Client({ connectionString: db.target.url });
  await client.connect();
  try {
    await migrateMetadata(client);
    await createPipeline(client, NAME, { systemIdentifier: '1', database: 'd' }, 'slot');
    await createPipeline(client, 'other', { systemIdentifier: '1', database: 'd' }, 'slot');
    await startCheckpoint(client, NAME, { position: '0/100', firstCopyDone: true });
    await startCheckpoint(client, 'other', { position: '0/100', firstCopyDone: true });
    const stored = () =>
      value(
        db.target,
        `SELECT string_agg(concat_ws(' ', applied_lsn, extract(epoch FROM source_committed_at)), ', ' ORDER BY pipeline) FROM pgfollow.checkpoint`,
      );
    const move = (from: bigint, to: bigint, at: number | null): Promise<unknown> =>
      sql(db.target, moveCheckpointSql({ pipeline: NAME, from: lsn(from), to: lsn(to), sourceCommittedAtMs: at }));

    await move(0x100n, 0xffffffff_fffffff0n, 1_767_225_600_123);
    expect(await stored()).toBe('FFFFFFFF/FFFFFFF0 1767225600.123000, 0/100');
    await move(0xffffffff_fffffff0n, 0xffffffff_ffffffffn, null);
    expect(await stored()).toBe('FFFFFFFF/FFFFFFFF 1767225600.123000, 0/100');

    // Somebody else was here: the transaction that holds the rows must not commit.
    await expect(
      sql(
        db.target,
        `CREATE TABLE rows_of_it (); ${moveCheckpointSql({ pipeline: NAME, from: lsn(0x100n), to: lsn(0x300n), sourceCommittedAtMs: null })}`,
      ),
    ).rejects.toMatchObject({
      code: '22012',
    });
    expect(await value(db.target, `SELECT to_regclass('rows_of_it')`)).toBeNull();
    await sql(db.target, `DELETE FROM pgfollow.checkpoint WHERE pipeline = 'other'`);
    await expect(
      sql(db.target, moveCheckpointSql({ pipeline: 'other', from: lsn(0x100n), to: lsn(0x300n), sourceCommittedAtMs: null })),
    ).rejects.toMatchObject({ code: '22012' });
    expect(await stored()).toBe('FFFFFFFF/FFFFFFFF 1767225600.123000');
  } finally {
    await client.end();
  }
});
