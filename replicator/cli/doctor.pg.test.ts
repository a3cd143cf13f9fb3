import { expect, test } from 'vitest';
import type { Finding } from '../finding.ts';
import { testIo, type TestIo } from '../testing/cli-io.ts';
import { sql, testDatabases, type TestDatabases } from '../testing/databases.ts';
import { main } from './main.ts';

test('doctor ends with 0, or 3 where something has to be mended, and says how', async () => {
  await using db = await testDatabases();
  for (const side of [db.source, db.target]) await sql(side, 'CREATE TABLE t (id int PRIMARY KEY)');
  const sound = ioOf(db);
  expect(await main(['doctor'], sound)).toBe(0);
  // One line a finding, whatever it has to say.
  for (const line of sound.out().trimEnd().split('\n'))
    expect(line).toMatch(/^(ok|warning) +(config|network|source|target) +[A-Z_]+ {2}\S/);
  expect(sound.out()).toMatch(/^ok +source +WAL_LEVEL {2}wal_level is logical\.$/m);
  expect(sound.err()).toMatch(/^0 errors, 1 warning, \d+ checks\. `pgfollow run` can start\.\n$/);
  expect(await main(['doctor', '--strict'], ioOf(db))).toBe(3);

  await sql(db.target, 'ALTER TABLE t RENAME id TO other');
  const broken = ioOf(db);
  expect(await main(['doctor', '--quiet'], broken)).toBe(3);
  expect(broken.out()).toMatch(
    /^error +target +TARGET_COLUMN_MISSING {2}.*-> {2}Run on the target: ALTER TABLE "public"\."t" ADD COLUMN "id" integer; /m,
  );
  expect(broken.out()).not.toMatch(/^ok/m);
  expect(broken.err()).toContain('1 error, 1 warning');
});

test('doctor --json is for machines', async () => {
  await using db = await testDatabases();
  await sql(db.source, 'CREATE TABLE t (id int PRIMARY KEY)');
  await sql(db.target, 'CREATE TABLE t (other int)');
  const io = ioOf(db);
  expect(await main(['doctor', '--json'], io)).toBe(3);
  const answer = JSON.parse(io.out()) as { findings: Finding[]; errors: number; warnings: number };
  expect(answer).toMatchObject({ errors: 1, warnings: 1 });
  expect(answer.findings).toContainEqual({
    code: 'TARGET_COLUMN_MISSING',
    level: 'error',
    where: 'target',
    table: 'public.t',
    message: expect.any(String),
    remedy: expect.stringContaining('ADD COLUMN'),
  });
  expect(io.err()).toBe('');
});

test('doctor with a configuration that cannot be used ends with 2, and --json has its faults too', async () => {
  const io = testIo({ env: { PGFOLLOW_NAME: 'No!', PGFOLLOW_SOURCE_URL: 'postgresql://app:hunter2@x:port/shop' } });
  expect(await main(['doctor', '--json'], io)).toBe(2);
  const { findings, errors } = JSON.parse(io.out()) as { findings: Finding[]; errors: number };
  expect(errors).toBe(3);
  for (const finding of findings) expect(finding).toMatchObject({ code: 'CONFIG_INVALID', level: 'error', where: 'config' });
  expect(io.err()).toContain('3 errors');
  expect(io.out() + io.err()).not.toContain('hunter2');
});

function ioOf(db: TestDatabases): TestIo {
  return testIo({ env: { PGFOLLOW_NAME: db.name, PGFOLLOW_SOURCE_URL: db.source.url, PGFOLLOW_TARGET_URL: db.target.url } });
}
