import pg, { type Client, type ClientConfig } from 'pg';

const { Connection } = pg;

/** What a server that cannot or will not bind the login to the TLS connection ends with. */
export class NotBound extends Error {
  constructor(why: string) {
    super(`channel_binding is require, but ${why}`);
    this.name = 'NotBound';
  }
}

/**
 * The same with a wire connection that lets nobody in who does not prove to know the password in a way that holds for this
 * TLS connection alone: SCRAM-SHA-256-PLUS. node-postgres itself only prefers it. Each config makes one client.
 * https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-CONNECT-CHANNEL-BINDING
 */
export function requireBinding(config: ClientConfig): ClientConfig {
  const connection = new Connection({ ...config, sslNegotiation: config.sslnegotiation } as ClientConfig);
  let bound = false;
  const refuse = (why: string): void => {
    connection.emit('error', new NotBound(why));
    connection.stream.destroy();
  };
  connection.on('authenticationSASL', ({ mechanisms }: { mechanisms: readonly string[] }) => {
    bound = mechanisms.includes('SCRAM-SHA-256-PLUS');
    if (!bound) refuse('the server offers SCRAM without it');
  });
  for (const event of ['authenticationCleartextPassword', 'authenticationMD5Password'])
    connection.on(event, () => refuse('the server asks for the password in another way than SCRAM'));
  connection.on('authenticationOk', () => bound || refuse('the server let us in without asking for a password'));
  return { ...config, connection } as ClientConfig & { connection: Client['connection'] };
}
