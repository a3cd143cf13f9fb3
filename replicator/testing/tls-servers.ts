import { chownSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { connect as dial, createServer, type Socket } from 'node:net';
import { connect as dialTls, TLSSocket } from 'node:tls';
import type { EmbeddedServer } from '../embedded/server.ts';
import type { Certificate } from './certificates.ts';
import type { TestDatabase } from './databases.ts';

/** Turns TLS on, with clients' certificates of the same authority, and puts lines before those of pg_hba.conf. */
export async function encrypt(
  { server }: TestDatabase,
  options: { authority: Certificate; certificate: Certificate; hba: readonly string[] },
): Promise<void> {
  if (!server) throw new Error('only servers of a test alone can be changed');
  placeCertificate(server, options.certificate);
  writeData(server, 'root.crt', options.authority.cert);
  putRule(server, options.hba.join('\n'));
  await server.restart({ settings: { ssl: 'on', ssl_ca_file: 'root.crt' } });
}

/** Where the server looks for it once ssl is on. */
export function placeCertificate(server: EmbeddedServer, { cert, key }: Certificate): void {
  writeData(server, 'server.crt', cert);
  writeData(server, 'server.key', key);
}

/** Before the lines of pg_hba.conf; it counts once the server has read it again. */
export function putRule(server: EmbeddedServer, line: string): void {
  writeData(server, 'pg_hba.conf', `${line}\n${readFileSync(join(server.dataDir, 'pg_hba.conf'), 'utf8')}`);
}

function writeData({ dataDir }: EmbeddedServer, name: string, text: string): void {
  const { uid, gid } = statSync(dataDir);
  const path = join(dataDir, name);
  writeFileSync(path, text, { mode: 0o600 });
  chownSync(path, uid, gid);
}

/**
 * Somebody in between, who reads along: to clients it shows a certificate of its own, to the server it is a client. Gives
 * its port.
 */
export async function eavesdropper(server: string, certificate: Certificate): Promise<AsyncDisposable & { port: number }> {
  const { hostname, port } = new URL(server);
  const open = new Set<Socket>();
  const track = (socket: Socket): Socket => {
    open.add(socket.on('error', () => {}));
    return socket;
  };
  const listener = createServer((client) => {
    track(client);
    const upstream = track(dial(Number(port), hostname));
    client.once('data', (request) => {
      upstream.write(request);
      upstream.once('data', (answer) => {
        client.write(answer);
        const inside = track(new TLSSocket(client, { isServer: true, ...certificate }));
        const outside = track(dialTls({ socket: upstream, rejectUnauthorized: false }));
        inside.pipe(outside).pipe(inside);
      });
    });
  });
  await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve));
  const address = listener.address();
  return {
    port: typeof address === 'object' && address ? address.port : 0,
    async [Symbol.asyncDispose]() {
      for (const socket of open) socket.destroy();
      await new Promise((resolve) => listener.close(resolve));
    },
  };
}
