// Servers that are set up badly, looked at by the command: what it finds, how it ends, and that the SQL it gives mends it.
import { expect, test } from 'vitest';
import { main } from '../cli/main.ts';
import type { Finding } from '../finding.ts';
import { makeAuthority, makeCertificate } from '../testing/certificates.ts';
import { testIo } from '../testing/cli-io.ts';
import { ownServers, sql, testDatabases, type TestDatabase, type TestDatabases } from '../testing/databases.ts';
import { eventually } from '../testing/eventually.ts';
import { startPipeline } from '../testing/run-pipeline.ts';
import { TEST_VERSION } from '../testing/servers.ts';
import { startStandby } from '../testing/standby.ts';
import { placeCertificate, putRule } from '../testing/tls-servers.ts';

const TABLE = 'CREATE TABLE t (id int PRIMARY KEY, v text)';

test('servers that are too old: both are named, and nothing is asked of them that they do not know', async () => {
  await using db = await ownServers({ source: { version: 13 }, target: { version: 13 } });
  for (const side of [db.source, db.target]) await sql(side, TABLE);
  const { exitCode, findings } = await doctor(db);
  expect(exitCode).toBe(3);
  expect(wrong(findings)).toEqual(['error TARGET_VERSION', 'error SOURCE_VERSION']);
  for (const code of ['SOURCE_VERSION', 'TARGET_VERSION'])
    expect(only(findings, code)).toMatchObject({
      message: expect.stringContaining('13.'),
      remedy: expect.stringContaining('14'),
    });
  await using running = startPipeline(db);
  await eventually(() => expect(running.pipeline.model.status().state).toBe('failed'));
  expect(running.pipeline.model.status().problems[0]?.message).toContain('14 is the oldest');
});

test('a source that is set up for physical replication at most, and where all is taken', async () => {
  await using db = await ownServers({
    source: { settings: { wal_level: 'replica', max_replication_slots: '1', max_wal_senders: '0' } },
  });
  for (const side of [db.source, db.target]) await sql(side, TABLE);
  await sql(db.source, `SELECT pg_create_physical_replication_slot('taken')`);
  const { exitCode, findings } = await doctor(db);
  expect(exitCode).toBe(3);
  const codes = ['WAL_LEVEL', 'FREE_SLOTS', 'FREE_WAL_SENDERS'];
  expect(errors(findings)).toEqual(codes);
  for (const code of codes) await follow(db.source, only(findings, code).remedy);
  await db.source.server?.restart();
  const mended = await doctor(db);
  expect([mended.exitCode, errors(mended.findings)]).toEqual([0, []]);
});

test('settings of the source that are worth a warning', async () => {
  const settings = {
    max_slot_wal_keep_size: '100MB',
    logical_decoding_work_mem: '64kB',
    wal_sender_timeout: '2s',
    ...(TEST_VERSION >= 18 ? { idle_replication_slot_timeout: '60s' } : {}),
  };
  await using db = await ownServers({ source: { settings } });
  for (const side of [db.source, db.target]) await sql(side, TABLE);
  const { exitCode, findings } = await doctor(db, '--strict');
  expect(exitCode).toBe(3);
  expect(wrong(findings)).toHaveLength(Object.keys(settings).length);
  for (const { remedy, level } of findings) if (level === 'warning') await follow(db.source, remedy);
  await eventually(async () => expect(await doctor(db, '--strict')).toMatchObject({ exitCode: 0, warnings: 0 }));
});

test('a standby: as target it takes nothing, as source only where its version decodes there', async () => {
  await using db = await ownServers();
  for (const side of [db.source, db.target]) await sql(side, TABLE);
  await sql(db.source, 'CREATE PUBLICATION theirs FOR TABLE t');
  await using standby = await startStandby(db.source);
  const url = standby.url(db.source.name);

  const asTarget = await doctor({ ...db, source: db.target, target: { ...db.source, url } });
  expect([asTarget.exitCode, errors(asTarget.findings)]).toEqual([3, ['TARGET_READ_ONLY']]);
  expect(only(asTarget.findings, 'TARGET_READ_ONLY').remedy).toContain('primary');

  const source = { ...db.source, url };
  const managed = await doctor({ ...db, source });
  expect(managed.exitCode).toBe(3);
  expect(errors(managed.findings)).toContain('SOURCE_STANDBY');
  const unmanaged = ['--set', 'publication.managed=false', '--set', 'publication.names=theirs'];
  const asSource = await doctor({ ...db, source }, ...unmanaged);
  expect([asSource.exitCode, errors(asSource.findings)]).toEqual(TEST_VERSION >= 16 ? [0, []] : [3, ['SOURCE_STANDBY']]);
});

test('a target that is set read-only, for the server, the database or the role', async () => {
  await using db = await ownServers();
  for (const side of [db.source, db.target]) await sql(side, TABLE);
  for (const way of ['SYSTEM', `DATABASE "${db.target.name}"`, 'ROLE postgres']) {
    await sql(db.target, `ALTER ${way} SET default_transaction_read_only = on`);
    await sql(db.target, 'SELECT pg_reload_conf()');
    const { findings } = await doctor(db);
    const { level, remedy } = only(findings, 'TARGET_READ_ONLY');
    expect([way, level]).toEqual([way, 'warning']);
    await using writing = await db.target.session();
    await writing.query('SET default_transaction_read_only = off');
    await follow(writing, remedy);
    expect([way, only((await doctor(db)).findings, 'TARGET_READ_ONLY').level]).toEqual([way, 'ok']);
  }
});

test('tables that do not fit: what each remedy gives is run, and then all of them do', async () => {
  await using db = await testDatabases();
  await sql(
    db.source,
    `CREATE TABLE missing (id int PRIMARY KEY, at timestamptz NOT NULL DEFAULT now(), kinds text[]);
     CREATE TABLE typed (id int PRIMARY KEY, v point); CREATE TABLE lacks (id int PRIMARY KEY, v numeric(8, 2), w text);
     CREATE TABLE filled (id int PRIMARY KEY); CREATE TABLE slow (id int PRIMARY KEY); CREATE TABLE strict (id int PRIMARY KEY)`,
  );
  await sql(
    db.target,
    `CREATE TABLE typed (id int PRIMARY KEY, v int); CREATE TABLE lacks (id int PRIMARY KEY);
     CREATE TABLE filled (id int PRIMARY KEY); INSERT INTO filled VALUES (1); CREATE TABLE slow (id int);
     CREATE TABLE strict (id int PRIMARY KEY, own text NOT NULL)`,
  );
  const { exitCode, findings } = await doctor(db, '--set', 'schema.create=never');
  expect(exitCode).toBe(3);
  expect(wrong(findings).toSorted()).toEqual([
    'error TARGET_COLUMN_MISSING public.lacks',
    'error TARGET_COLUMN_TYPE public.typed',
    'error TARGET_TABLE_MISSING public.missing',
    'error TARGET_TABLE_NOT_EMPTY public.filled',
    'error TARGET_UNSUITABLE public.strict',
    'warning SLOT_WAL_LIMIT',
    'warning TARGET_INDEX public.slow',
  ]);
  for (const { level, remedy, where } of findings) if (level !== 'ok' && where === 'target') await follow(db.target, remedy);
  const mended = await doctor(db, '--set', 'schema.create=never');
  expect([mended.exitCode, wrong(mended.findings)]).toEqual([0, ['warning SLOT_WAL_LIMIT']]);
  await using running = startPipeline(db, { schema: { create: 'never' } });
  await running.caughtUp();
  expect(running.pipeline.model.status()).toMatchObject({ state: 'streaming', problems: [] });
});

test('a table without replica identity in a publication that somebody made', async () => {
  await using db = await testDatabases();
  for (const side of [db.source, db.target]) await sql(side, 'CREATE TABLE keyless (v text)');
  await sql(db.source, 'CREATE PUBLICATION theirs FOR TABLE keyless');
  const unmanaged = ['--set', 'publication.managed=false', '--set', 'publication.names=theirs'];
  const { exitCode, findings } = await doctor(db, ...unmanaged);
  expect([exitCode, errors(findings)]).toEqual([3, ['TABLE_NOT_PUBLISHABLE']]);
  await follow(db.source, only(findings, 'TABLE_NOT_PUBLISHABLE').remedy);
  const mended = await doctor(db, ...unmanaged);
  expect([mended.exitCode, errors(mended.findings)]).toEqual([0, []]);
});

test('TLS that the server does not offer', async () => {
  await using db = await ownServers();
  for (const side of [db.source, db.target]) await sql(side, TABLE);
  const target = { ...db.target, url: `${db.target.url}?sslmode=require` };
  const { exitCode, findings } = await doctor({ ...db, target });
  expect([exitCode, errors(findings)]).toEqual([3, ['TARGET_UNREACHABLE']]);
  placeCertificate(db.target.server!, makeCertificate('127.0.0.1', { name: 'ours', ...makeAuthority('ours') }));
  await follow(db.target, only(findings, 'TARGET_UNREACHABLE').remedy);
  await sql(db.target, 'SELECT pg_reload_conf()');
  await eventually(async () => expect((await doctor({ ...db, target })).exitCode).toBe(0));

  // And the other way round: a server that wants it, and a URL that does not.
  await sql(db.target, `CREATE ROLE only_tls LOGIN SUPERUSER PASSWORD 'secret'`);
  putRule(db.target.server!, 'hostnossl all only_tls all reject');
  await sql(db.target, 'SELECT pg_reload_conf()');
  const bare = (mode: string) => ({ url: `${withRole(db.target.url, 'only_tls')}?sslmode=${mode}` });
  const refused = await eventually(async () => {
    const found = await doctor({ ...db, target: bare('disable') });
    return found.exitCode === 3 && found;
  });
  expect(errors(refused.findings)).toEqual(['TARGET_UNREACHABLE']);
  expect(only(refused.findings, 'TARGET_UNREACHABLE').remedy).toContain('set sslmode=verify-full (or require) in target.url');
  expect((await doctor({ ...db, target: bare('require') })).exitCode).toBe(0);
});

test('one database as both', async () => {
  await using db = await testDatabases();
  // What the URLs tell already is a fault of the configuration.
  const twice = await doctor({ ...db, target: db.source });
  expect([twice.exitCode, errors(twice.findings)]).toEqual([2, ['CONFIG_INVALID']]);
  const url = db.source.url.replace('127.0.0.1', 'localhost');
  expect(url).not.toBe(db.source.url);
  const hidden = await doctor({ ...db, target: { url } });
  expect([hidden.exitCode, errors(hidden.findings)]).toEqual([3, ['SAME_DATABASE']]);
});

type Sides = Pick<TestDatabases, 'name'> & Record<'source' | 'target', Pick<TestDatabase, 'url'>>;

async function doctor(
  { name, source, target }: Sides,
  ...args: string[]
): Promise<{ exitCode: number; findings: Finding[]; warnings: number }> {
  const io = testIo({ env: { PGFOLLOW_NAME: name, PGFOLLOW_SOURCE_URL: source.url, PGFOLLOW_TARGET_URL: target.url } });
  const exitCode = await main(['doctor', '--json', ...args], io);
  return { exitCode, ...(JSON.parse(io.out()) as { findings: Finding[]; warnings: number }) };
}

function withRole(url: string, role: string): string {
  return Object.assign(new URL(url), { username: role, password: 'secret' }).href;
}

/** Runs the statements of a remedy, as somebody would who takes them from between its words. */
async function follow(on: Pick<TestDatabase, 'query'>, remedy: string | null): Promise<void> {
  const statements = remedy?.match(/\b(?:ALTER|CREATE|GRANT|TRUNCATE|SELECT pg_)[^;]*;/g) ?? [];
  expect([remedy, statements.length > 0]).toEqual([remedy, true]);
  for (const statement of statements) await sql(on, statement);
}

function wrong(findings: readonly Finding[]): string[] {
  return findings
    .filter(({ level }) => level !== 'ok')
    .map(({ level, code, table }) => `${level} ${code}${table === null ? '' : ` ${table}`}`);
}

function errors(findings: readonly Finding[]): string[] {
  return findings.filter(({ level }) => level === 'error').map(({ code }) => code);
}

function only(findings: readonly Finding[], code: string): Finding {
  const found = findings.filter((each) => each.code === code);
  expect([code, found.length]).toEqual([code, 1]);
  return found[0]!;
}
