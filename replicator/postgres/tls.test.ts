import { chmodSync, mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { connect as dial, createServer, type AddressInfo, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { TLSSocket, rootCertificates } from 'node:tls';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { makeAuthority, makeCertificate, type Certificate } from '../testing/certificates.ts';
import * as wire from '../testing/pgoutput-bytes.ts';
import { connect, disconnect, isEncrypted } from './connect.ts';
import { tlsOptions, tlsOrder, tlsParameters } from './tls.ts';

const folder = mkdtempSync(join(tmpdir(), 'pgfollow-tls-'));
afterAll(() => rmSync(folder, { recursive: true }));

const ours = { name: 'ours', ...makeAuthority('ours') };
const theirs = { name: 'theirs', ...makeAuthority('theirs') };
const rootFile = join(folder, 'root.crt');
writeFileSync(rootFile, ours.cert);

const DEFAULTS = {
  mode: 'prefer',
  rootCert: null,
  cert: null,
  key: null,
  keyPassword: null,
  channelBinding: 'prefer',
  direct: false,
} as const;

function read(query: string, environment: Record<string, string> = {}): ReturnType<typeof tlsParameters> {
  return tlsParameters(new URLSearchParams(query), environment);
}

test('a key that others may read is refused, as by libpq, with what mends it', async () => {
  const key = join(folder, 'open.key');
  writeFileSync(key, ours.key);
  // Whose it is decides: this machine's tests may run as root.
  const group = statSync(key).uid === 0;
  for (const [mode, fine] of [
    [0o644, false],
    [0o660, false],
    [0o640, group],
    [0o600, true],
    [0o400, true],
  ] as const) {
    chmodSync(key, mode);
    const options = (): unknown => tlsOptions({ ...DEFAULTS, key });
    if (fine) expect(options()).toMatchObject({ key: expect.anything() });
    else expect(options).toThrow('may be read by others');
  }
  chmodSync(key, 0o604);
  const url = `postgresql://x@127.0.0.1:1/x?sslkey=${key}`;
  await expect(connect({ role: 'source', url, purpose: 'test' })).rejects.toMatchObject({
    code: 'CONFIG_INVALID',
    remedy: `chmod 600 ${key}`,
  });
});

describe('the parameters of a URI', () => {
  test('sslmode is prefer unless said, with nothing else at hand', () => {
    expect(read('')).toEqual(DEFAULTS);
    expect(read('sslmode=verify-full&sslrootcert=r&sslcert=c&sslkey=k&sslpassword=p&channel_binding=require')).toEqual({
      mode: 'verify-full',
      rootCert: 'r',
      cert: 'c',
      key: 'k',
      keyPassword: 'p',
      channelBinding: 'require',
      direct: false,
    });
  });

  test("libpq's variables stand in for what the URI leaves out, then its files", () => {
    const environment = {
      PGSSLMODE: 'verify-ca',
      PGSSLROOTCERT: 'r',
      PGSSLCERT: 'c',
      PGSSLKEY: 'k',
      PGCHANNELBINDING: 'disable',
    };
    expect(read('sslmode=verify-full', environment)).toMatchObject({ mode: 'verify-full', rootCert: 'r', cert: 'c', key: 'k' });
    expect(read('sslrootcert=own', environment)).toMatchObject({ mode: 'verify-ca', rootCert: 'own', channelBinding: 'disable' });
    const own = join(folder, '.postgresql');
    mkdirSync(own);
    for (const name of ['root.crt', 'postgresql.crt', 'postgresql.key']) writeFileSync(join(own, name), '');
    expect(read('', { HOME: folder })).toMatchObject({
      rootCert: join(own, 'root.crt'),
      cert: join(own, 'postgresql.crt'),
      key: join(own, 'postgresql.key'),
    });
    expect(read('sslrootcert=system', { HOME: folder })).toMatchObject({ mode: 'verify-full', rootCert: 'system' });
  });

  test.each([
    ['sslmode=verify', 'sslmode "verify" is not one of disable, allow, prefer, require, verify-ca, verify-full'],
    ['sslmode=require&sslrootcert=system', 'too weak for sslrootcert=system'],
    ['sslmode=verify-ca&sslrootcert=system', 'too weak for sslrootcert=system'],
    ['channel_binding=yes', 'channel_binding "yes" is not one of disable, prefer, require'],
    ['sslnegotiation=no', 'sslnegotiation "no" is not one of postgres, direct'],
    ['sslnegotiation=direct', 'too weak for sslnegotiation=direct'],
  ])('%s is refused', (query, why) => {
    expect(() => read(query)).toThrow(why);
  });

  // Table 32.1 and the note on sslrootcert, https://www.postgresql.org/docs/current/libpq-ssl.html#LIBPQ-SSL-PROTECTION
  test.each([
    ['disable', null, ['plain'], null],
    ['allow', null, ['plain', 'tls'], { trusted: false, named: false }],
    ['prefer', null, ['tls', 'plain'], { trusted: false, named: false }],
    ['prefer', rootFile, ['tls', 'plain'], { trusted: false, named: false }],
    ['require', null, ['tls'], { trusted: false, named: false }],
    ['require', rootFile, ['tls'], { trusted: true, named: false }],
    ['verify-ca', rootFile, ['tls'], { trusted: true, named: false }],
    ['verify-full', rootFile, ['tls'], { trusted: true, named: true }],
    ['verify-full', 'system', ['tls'], { trusted: true, named: true }],
    ['verify-full', null, ['tls'], { trusted: true, named: true }],
  ] as const)('sslmode=%s, sslrootcert=%s', (mode, rootCert, order, verifies) => {
    const parameters = { ...DEFAULTS, mode, rootCert };
    const options = tlsOptions(parameters);
    expect(tlsOrder(parameters)).toEqual(order);
    expect(options && { trusted: options.rejectUnauthorized, named: options.checkServerIdentity === undefined }).toEqual(
      verifies,
    );
    if (mode === 'verify-full' && rootCert !== rootFile)
      expect(options?.ca).toEqual(expect.arrayContaining([...rootCertificates]));
    else expect(options?.ca?.toString()).toBe(options && rootCert === rootFile ? ours.cert : undefined);
  });

  test('verify-ca without an authority of our own would prove nothing', () => {
    expect(() => tlsOptions({ ...DEFAULTS, mode: 'verify-ca' })).toThrow('sslmode verify-ca needs sslrootcert');
  });

  test('client certificate and key are read, and a missing file is told', () => {
    const key = join(folder, 'client.key');
    writeFileSync(key, ours.key, { mode: 0o600 });
    expect(tlsOptions({ ...DEFAULTS, mode: 'require', cert: rootFile, key })).toMatchObject({
      cert: Buffer.from(ours.cert),
      key: Buffer.from(ours.key),
    });
    expect(() => tlsOptions({ ...DEFAULTS, mode: 'require', key: join(folder, 'none') })).toThrow('ENOENT');
  });
});

// A server that knows just enough of the protocol to let somebody in or not. https://www.postgresql.org/docs/current/protocol-flow.html
interface Doorman {
  readonly port: number;
  /** What clients asked for, in order: `tls` for an SSLRequest, then `in` or `refused`. */
  readonly seen: string[];
  close(): Promise<void>;
}

const SSL_REQUEST = 80877103;

async function doorman(options: {
  certificate?: Certificate;
  takes?: 'plain' | 'tls' | 'both';
  refusal?: string;
}): Promise<Doorman> {
  const seen: string[] = [];
  const open = new Set<Socket>();
  const greet = (socket: Socket, encrypted: boolean): void => {
    socket.once('data', (startup) => {
      if (startup.length < 8) return;
      if (startup.readInt32BE(4) === SSL_REQUEST) {
        seen.push('tls');
        socket.write(options.certificate ? 'S' : 'N');
        if (options.certificate)
          greet(
            new TLSSocket(socket, { isServer: true, ...options.certificate }).on('error', () => {}),
            true,
          );
        return;
      }
      const takes = options.takes ?? 'both';
      if (options.refusal || (takes !== 'both' && takes !== (encrypted ? 'tls' : 'plain'))) {
        seen.push('refused');
        const fields = wire.bytes(
          'S',
          wire.cstring('FATAL'),
          'C',
          wire.cstring(options.refusal ?? '28000'),
          'M',
          wire.cstring('no entry'),
          wire.int8(0),
        );
        socket.end(wire.bytes('E', wire.int32(fields.length + 4), fields));
        return;
      }
      seen.push(encrypted ? 'in with tls' : 'in');
      socket.write(wire.bytes('R', wire.int32(8), wire.int32(0), 'Z', wire.int32(5), 'I'));
      socket.on('data', (message) => {
        if (message.toString('latin1', 0, 1) === 'X') socket.end();
        else socket.write(wire.bytes('C', wire.int32(13), wire.cstring('SELECT 0'), 'Z', wire.int32(5), 'I'));
      });
    });
  };
  const server = createServer((socket) => {
    open.add(socket.on('error', () => {}));
    greet(socket, false);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as AddressInfo).port,
    seen,
    close: () => {
      for (const socket of open) socket.destroy();
      return new Promise((resolve) => server.close(() => resolve()));
    },
  };
}

async function attempt(at: { port: number }, query: string, host = 'localhost'): Promise<string> {
  const url = `postgresql://u:p@${host}:${at.port}/d${query}`;
  try {
    const client = await connect({ role: 'source', url, purpose: 'test' });
    const encrypted = isEncrypted(client);
    await disconnect(client);
    return encrypted ? 'tls' : 'plain';
  } catch (error) {
    const problem = error as { code: string; retry: string; message: string };
    return `${problem.code} ${problem.retry}: ${problem.message.replace(/^.* let us in: /, '')}`;
  }
}

describe('who is let in, and how', () => {
  const servers = new Map<string, Doorman>();
  const root = `&sslrootcert=${encodeURIComponent(rootFile)}`;

  beforeAll(async () => {
    servers.set('without TLS', await doorman({}));
    servers.set('without TLS, not asked before', await doorman({}));
    servers.set('with our certificate', await doorman({ certificate: makeCertificate('localhost', ours) }));
    servers.set('with our certificate for another host', await doorman({ certificate: makeCertificate('example.org', ours) }));
    servers.set('with a certificate for its address', await doorman({ certificate: makeCertificate('127.0.0.1', ours) }));
    servers.set("with somebody else's certificate", await doorman({ certificate: makeCertificate('localhost', theirs) }));
    servers.set('that takes TLS only', await doorman({ certificate: makeCertificate('localhost', ours), takes: 'tls' }));
    servers.set(
      'that has TLS but takes plain only',
      await doorman({ certificate: makeCertificate('localhost', ours), takes: 'plain' }),
    );
    servers.set(
      'that wants another password',
      await doorman({ certificate: makeCertificate('localhost', ours), refusal: '28P01' }),
    );
  });
  afterAll(() => Promise.all([...servers.values()].map((server) => server.close())));

  const unreachable = (why: string): unknown => expect.stringMatching(`^SOURCE_UNREACHABLE transient: .*${why}`);
  const noTls = unreachable('does not support SSL');

  test.each([
    ['without TLS', '?sslmode=disable', 'plain', ['in']],
    ['without TLS', '?sslmode=allow', 'plain', ['in']],
    ['without TLS', '?sslmode=prefer', 'plain', ['tls', 'in']],
    ['without TLS, not asked before', '', 'plain', ['tls', 'in']],
    ['without TLS, not asked before', '', 'plain', ['in']],
    ['without TLS', '?sslmode=require', noTls, ['tls']],
    ['without TLS', `?sslmode=verify-ca${root}`, noTls, ['tls']],
    ['without TLS', '?sslmode=verify-full', noTls, ['tls']],
    ['with our certificate', '?sslmode=disable', 'plain', ['in']],
    ['with our certificate', '?sslmode=allow', 'plain', ['in']],
    ['with our certificate', '?sslmode=prefer', 'tls', ['tls', 'in with tls']],
    ['with our certificate', '?sslmode=require', 'tls', ['tls', 'in with tls']],
    ['with our certificate', `?sslmode=verify-ca${root}`, 'tls', ['tls', 'in with tls']],
    ['with our certificate', `?sslmode=verify-full${root}`, 'tls', ['tls', 'in with tls']],
    ['with our certificate', '?sslmode=verify-full', unreachable('certificate'), ['tls']],
    ['with our certificate', '?sslrootcert=system', unreachable('certificate'), ['tls']],
    ['with our certificate for another host', `?sslmode=require${root}`, 'tls', ['tls', 'in with tls']],
    ['with our certificate for another host', `?sslmode=verify-ca${root}`, 'tls', ['tls', 'in with tls']],
    ['with our certificate for another host', `?sslmode=verify-full${root}`, unreachable('altnames'), ['tls']],
    ["with somebody else's certificate", `?sslmode=prefer${root}`, 'tls', ['tls', 'in with tls']],
    ["with somebody else's certificate", '?sslmode=require', 'tls', ['tls', 'in with tls']],
    ["with somebody else's certificate", `?sslmode=require${root}`, unreachable('certificate'), ['tls']],
    ["with somebody else's certificate", `?sslmode=verify-ca${root}`, unreachable('certificate'), ['tls']],
    ["with somebody else's certificate", `?sslmode=verify-full${root}`, unreachable('certificate'), ['tls']],
    ['that takes TLS only', '?sslmode=disable', unreachable('28000'), ['refused']],
    ['that takes TLS only', '?sslmode=allow', 'tls', ['refused', 'tls', 'in with tls']],
    ['that has TLS but takes plain only', '?sslmode=prefer', 'plain', ['tls', 'refused', 'in']],
    ['that has TLS but takes plain only', '?sslmode=require', unreachable('28000'), ['tls', 'refused']],
    // The password is not sent again in the clear.
    ['that wants another password', '?sslmode=prefer', unreachable('28P01'), ['tls', 'refused']],
    [
      'that wants another password',
      '?sslmode=verify-ca',
      expect.stringMatching('^CONFIG_INVALID permanent: source.url: sslmode verify-ca needs'),
      [],
    ],
    [
      'that wants another password',
      '?sslmode=require&sslrootcert=/nowhere',
      expect.stringMatching('^CONFIG_INVALID permanent: source.url: ENOENT'),
      [],
    ],
  ])('a server %s, %s', async (kind, query, result, seen) => {
    const server = servers.get(kind);
    if (!server) throw new Error(kind);
    server.seen.length = 0;
    expect(await attempt(server, query)).toEqual(result);
    expect(server.seen).toEqual(seen);
  });

  test('verify-full by address: the certificate must name the address', async () => {
    const named = servers.get('with our certificate');
    const addressed = servers.get('with a certificate for its address');
    if (!named || !addressed) throw new Error('not started');
    expect(await attempt(addressed, `?sslmode=verify-full${root}`, '127.0.0.1')).toBe('tls');
    expect(await attempt(named, `?sslmode=verify-full${root}`, '127.0.0.1')).toMatch('altnames');
  });

  test('nobody there: one attempt, and what to look at', async () => {
    const server = await doorman({});
    await server.close();
    await new Promise((resolve) => dial(server.port, '127.0.0.1').once('error', resolve));
    await expect(
      connect({ role: 'target', url: `postgresql://u@127.0.0.1:${server.port}/d`, purpose: 'test' }),
    ).rejects.toMatchObject({
      code: 'TARGET_UNREACHABLE',
      retry: 'transient',
      remedy: expect.stringContaining(`127.0.0.1:${server.port}`),
    });
  });
});
