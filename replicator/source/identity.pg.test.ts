import { expect, test } from 'vitest';
import { connect, disconnect } from '../postgres/connect.ts';
import { sql, testDatabases, value } from '../testing/databases.ts';
import { checkSource, identifySource, identifySystem } from './identity.ts';

test('who the source is, the same over both kinds of connection', async () => {
  await using db = await testDatabases();
  const client = await connect({ role: 'source', url: db.source.url, purpose: 'test' });
  const replication = await connect({ role: 'source', url: db.source.url, purpose: 'test', replication: true });
  try {
    const source = await identifySource(client);
    expect(source).toMatchObject(await identifySystem(replication));
    expect(source).toMatchObject({
      systemIdentifier: await value(db.source, 'SELECT system_identifier FROM pg_control_system()'),
      database: db.source.name,
      databaseOid: Number(await value(db.source, 'SELECT oid FROM pg_database WHERE datname = current_database()')),
      inRecovery: false,
      walLevel: 'logical',
      maxSlotWalKeepSize: null,
      walSenderTimeout: 60_000,
      role: { superuser: true, replication: true },
    });
    expect(source.versionText).toMatch(new RegExp(`^${Math.floor(source.version / 10000)}\\.`));
    expect(source.walSenders.free).toBeLessThan(source.walSenders.max);
    expect(checkSource(source)).toEqual([]);
  } finally {
    await disconnect(client);
    await disconnect(replication);
  }
});

test('a role that may do nothing still learns what it lacks', async () => {
  await using db = await testDatabases();
  const role = `${db.name}_role`;
  const url = new URL(db.source.url);
  [url.username, url.password] = [role, 'secret'];
  await sql(db.source, `CREATE ROLE ${role} LOGIN PASSWORD 'secret'; REVOKE EXECUTE ON FUNCTION pg_control_system() FROM PUBLIC`);
  const client = await connect({ role: 'source', url: url.href, purpose: 'test' });
  try {
    await expect(identifySource(client)).rejects.toMatchObject({
      code: 'SOURCE_UNSUITABLE',
      remedy: expect.stringContaining('GRANT EXECUTE'),
    });
    const source = await identifySource(client, () => Promise.resolve({ systemIdentifier: '1', timeline: 2 }));
    expect(source).toMatchObject({
      systemIdentifier: '1',
      timeline: 2,
      role: { name: role, superuser: false, replication: false },
    });
    expect(checkSource(source)).toMatchObject([
      { code: 'SOURCE_UNSUITABLE', message: expect.stringContaining('may not replicate') },
    ]);
  } finally {
    await disconnect(client);
    await sql(db.source, `DROP ROLE ${role}`);
  }
});
