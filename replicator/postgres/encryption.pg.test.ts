// TLS against real servers: who is let in, who is believed, and the whole pipeline over it.
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createPrivateKey } from 'node:crypto';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { makeAuthority, makeCertificate, makeClientCertificate, type Certificate } from '../testing/certificates.ts';
import { compareTables } from '../testing/compare.ts';
import { ownServers, sql, type TestDatabase, type TestDatabases } from '../testing/databases.ts';
import { startPipeline } from '../testing/run-pipeline.ts';
import { eavesdropper, encrypt } from '../testing/tls-servers.ts';
import { connect, disconnect, isEncrypted } from './connect.ts';

const ours = { name: 'ours', ...makeAuthority('ours') };
const theirs = { name: 'theirs', ...makeAuthority('theirs') };
const folder = mkdtempSync(join(tmpdir(), 'pgfollow-encryption-'));

function file(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, text, { mode: 0o600 });
  return path;
}

const ROOT = `&sslrootcert=${file('root.crt', ours.cert)}`;
const client = makeClientCertificate('by_certificate', ours);
const CERTIFICATE = `&sslcert=${file('client.crt', client.cert)}&sslkey=${file('client.key', client.key)}`;
const locked = createPrivateKey(client.key).export({ type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase: 'open' });

const HBA = [
  'hostssl all by_certificate 127.0.0.1/32 cert',
  'hostssl all by_password 127.0.0.1/32 scram-sha-256',
  'hostssl all by_md5 127.0.0.1/32 md5',
  'hostssl all by_trust 127.0.0.1/32 trust',
  'hostnossl all by_certificate,by_password,by_md5,by_trust 127.0.0.1/32 reject',
];
const ROLES = [
  'CREATE ROLE by_certificate LOGIN SUPERUSER',
  `CREATE ROLE by_password LOGIN SUPERUSER PASSWORD 'secret'`,
  'CREATE ROLE by_trust LOGIN',
  `SET password_encryption = 'md5'`,
  `CREATE ROLE by_md5 LOGIN PASSWORD 'secret'`,
];

let db: TestDatabases;
beforeAll(async () => {
  db = await ownServers();
  for (const side of [db.source, db.target]) {
    await sql(side, ROLES.join(';'));
    await encrypt(side, { authority: ours, certificate: makeCertificate('127.0.0.1', ours), hba: HBA });
  }
});
afterAll(async () => {
  rmSync(folder, { recursive: true });
  await db[Symbol.asyncDispose]();
});

function urlOf(side: TestDatabase, role: string, query: string, port = new URL(side.url).port): string {
  return `postgresql://${role}@127.0.0.1:${port}/${side.name}?${query}`;
}

/** How the connection stands, or why it does not. */
async function attempt(role: string, query: string, port?: number): Promise<string> {
  try {
    const connection = await connect({ role: 'source', url: urlOf(db.source, role, query, port?.toString()), purpose: 'test' });
    try {
      const { rows } = await connection.query<{ ssl: boolean; dn: string | null }>(
        'SELECT ssl, client_dn AS dn FROM pg_catalog.pg_stat_ssl WHERE pid = pg_catalog.pg_backend_pid()',
      );
      expect(rows[0]?.ssl).toBe(isEncrypted(connection));
      return `${rows[0]?.ssl ? 'tls' : 'plain'}${rows[0]?.dn ? ` as ${rows[0].dn}` : ''}`;
    } finally {
      await disconnect(connection);
    }
  } catch (error) {
    return (error as Error).message.replace(/^.* let us in: /, '');
  }
}

describe('every sslmode, to a server that wants TLS', () => {
  test.each([
    ['sslmode=disable', '28000'],
    ['sslmode=allow', 'tls'],
    ['sslmode=prefer', 'tls'],
    ['', 'tls'],
    ['sslmode=require', 'tls'],
    [`sslmode=require${ROOT}`, 'tls'],
    [`sslmode=verify-ca${ROOT}`, 'tls'],
    [`sslmode=verify-full${ROOT}`, 'tls'],
    ['sslmode=verify-full', 'certificate'],
    ['sslrootcert=system', 'certificate'],
    [`sslmode=verify-full&sslrootcert=${file('theirs.crt', theirs.cert)}`, 'certificate'],
  ])('%s', async (query, result) => {
    expect(await attempt('by_password:secret', query)).toContain(result);
  });

  test('sslrootcert=system trusts what the machine trusts', async () => {
    process.env['SSL_CERT_FILE'] = join(folder, 'root.crt');
    try {
      expect(await attempt('by_password:secret', 'sslrootcert=system')).toBe('tls');
    } finally {
      delete process.env['SSL_CERT_FILE'];
    }
  });
});

describe('client certificates', () => {
  test.each([
    ['the right one', 'by_certificate', CERTIFICATE, 'tls as /CN=by_certificate'],
    ['none', 'by_certificate', '', '28000'],
    ['that of another role', 'by_certificate', certificateOf('somebody', ours), '28000'],
    ['one that another authority has signed', 'by_certificate', certificateOf('by_certificate', theirs), 'unknown ca'],
    ['a key with a password', 'by_certificate', lockedCertificate('&sslpassword=open'), 'tls as /CN=by_certificate'],
    ['a key with another password', 'by_certificate', lockedCertificate('&sslpassword=shut'), 'decrypt'],
  ])('%s', async (_, role, certificate, result) => {
    expect(await attempt(role, `sslmode=verify-full${ROOT}${certificate}`)).toContain(result);
  });
});

describe('channel binding', () => {
  test.each([
    ['by_password:secret', 'channel_binding=require', 'tls'],
    ['by_password:secret', 'channel_binding=disable', 'tls'],
    ['by_md5:secret', '', 'tls'],
    ['by_md5:secret', 'channel_binding=require', 'in another way than SCRAM'],
    ['by_trust', 'channel_binding=require', 'without asking for a password'],
    ['by_certificate', `channel_binding=require${CERTIFICATE}`, 'without asking for a password'],
  ])('%s with %s', async (role, query, result) => {
    expect(await attempt(role, query)).toContain(result);
  });

  test('without TLS there is nothing to bind to', async () => {
    const url = `${db.source.url}?sslmode=disable&channel_binding=require`;
    await expect(connect({ role: 'source', url, purpose: 'test' })).rejects.toMatchObject({
      code: 'SOURCE_UNREACHABLE',
      message: expect.stringContaining('SCRAM without it'),
      remedy: expect.stringContaining('channel_binding'),
    });
  });

  test('somebody in between is found out, although no certificate is checked', async () => {
    await using between = await eavesdropper(db.source.url, makeCertificate('127.0.0.1', theirs));
    expect(await attempt('by_password:secret', 'sslmode=require', between.port)).toContain('channel binding');
    // That is what it is good for.
    expect(await attempt('by_password:secret', 'sslmode=require&channel_binding=disable', between.port)).toBe('tls');
  });
});

test('a password file is used, and one that others may read is not: the remedy says so', async () => {
  const { port } = new URL(db.source.url);
  process.env['PGPASSFILE'] = file('pgpass', `127.0.0.1:${port}:*:by_password:secret\n`);
  try {
    expect(await attempt('by_password', '')).toBe('tls');
    expect(await attempt('by_password', 'passfile=/nowhere')).toContain('none is known');
    chmodSync(process.env['PGPASSFILE'], 0o640);
    await expect(connect({ role: 'source', url: urlOf(db.source, 'by_password', ''), purpose: 'test' })).rejects.toMatchObject({
      message: expect.stringContaining('asks for a password, and none is known'),
      remedy: expect.stringContaining(`chmod 600 ${process.env['PGPASSFILE']}`),
    });
  } finally {
    delete process.env['PGPASSFILE'];
  }
});

test.each([
  ['client certificates', 'by_certificate', `sslmode=verify-full${ROOT}${CERTIFICATE}`, '/CN=by_certificate'],
  ['SCRAM bound to the channel', 'by_password:secret', `sslmode=verify-full${ROOT}&channel_binding=require`, null],
])('the whole pipeline with %s: copy, stream and everything else', async (_, role, query, dn) => {
  for (const side of [db.source, db.target])
    await sql(side, 'DROP TABLE IF EXISTS t; DROP PUBLICATION IF EXISTS pgfollow; CREATE TABLE t (id int PRIMARY KEY)');
  await sql(db.source, 'INSERT INTO t SELECT generate_series(1, 100)');
  const name = role.replace(/:.*/, '');
  await using running = startPipeline(db, {
    name,
    tables: { include: ['public.t'] },
    source: { url: urlOf(db.source, role, query) },
    target: { url: urlOf(db.target, role, query) },
  });
  await running.caughtUp();
  await sql(db.source, 'INSERT INTO t SELECT generate_series(101, 200)');
  await running.caughtUp();
  await compareTables(db.source, db.target, 'public.t');
  for (const [side, types] of [
    [db.source, ['client backend', 'walsender']],
    [db.target, ['client backend']],
  ] as const) {
    const rows = await sql(
      side,
      `SELECT DISTINCT backend_type, ssl, client_dn FROM pg_stat_activity JOIN pg_stat_ssl USING (pid)
        WHERE application_name LIKE 'pgfollow%' ORDER BY 1`,
    );
    expect(rows).toEqual(types.map((type) => ({ backend_type: type, ssl: 't', client_dn: dn })));
  }
});

function certificateOf(role: string, authority: Certificate & { name: string }): string {
  const { cert, key } = makeClientCertificate(role, authority);
  const name = `${role}-${authority.name}`;
  return `&sslcert=${file(`${name}.crt`, cert)}&sslkey=${file(`${name}.key`, key)}`;
}

function lockedCertificate(password: string): string {
  return `&sslcert=${join(folder, 'client.crt')}&sslkey=${file('locked.key', locked.toString())}${password}`;
}
