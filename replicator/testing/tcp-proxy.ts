import { connect, createServer, type Socket } from 'node:net';

/** One connection that runs through the proxy. */
export interface ProxiedConnection {
  /** What the client said first: user, database, application_name. */
  readonly startup: string;
  /** Ends both sides at once. */
  cut(): void;
  /** Ends the client's side; the server hears nothing of it until cut(). */
  cutClient(): void;
  /** Sends to the server as if the client had. */
  send(bytes: Buffer): void;
  /** Sends to the client as if the server had. */
  answer(bytes: Buffer): void;
}

/** What passes: all of the bytes, some, or null for none. */
type Rule = (connection: ProxiedConnection, bytes: Buffer) => Buffer | null;

/** A way to a server on which any byte can be held, dropped or be the last one. */
export interface TcpProxy extends AsyncDisposable {
  /** The given URL by way of the proxy. */
  readonly url: string;
  toServer: Rule;
  toClient: Rule;
  /** Refuses new connections while false. */
  open: boolean;
  cutAll(): void;
}

export async function startProxy(target: string): Promise<TcpProxy> {
  const url = new URL(target);
  const { hostname, port } = url;
  const connections = new Set<ProxiedConnection>();
  const server = createServer({ allowHalfOpen: false }, (client) => {
    if (!proxy.open) {
      client.destroy();
      return;
    }
    const upstream = connect(Number(port), hostname);
    const connection = proxied(client, upstream);
    connections.add(connection);
    client.on('data', (bytes) => {
      if (connection.startup === '') connection.startup = bytes.toString('latin1');
      forward(upstream, proxy.toServer(connection, bytes));
    });
    upstream.on('data', (bytes) => forward(client, proxy.toClient(connection, bytes)));
    client.on('close', () => connection.clientGone || upstream.destroy());
    upstream.on('close', () => {
      connections.delete(connection);
      client.destroy();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  url.port = String(typeof address === 'object' && address ? address.port : 0);
  const cutAll = (): void => {
    for (const connection of connections) connection.cut();
  };
  const proxy: TcpProxy = {
    url: url.href,
    toServer: (_, bytes) => bytes,
    toClient: (_, bytes) => bytes,
    open: true,
    cutAll,
    async [Symbol.asyncDispose]() {
      cutAll();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  return proxy;
}

function proxied(client: Socket, upstream: Socket): ProxiedConnection & { startup: string; clientGone: boolean } {
  for (const socket of [client, upstream]) socket.setNoDelay(true).on('error', () => {});
  return {
    startup: '',
    clientGone: false,
    cut() {
      client.destroy();
      upstream.destroy();
    },
    cutClient() {
      this.clientGone = true;
      client.destroy();
    },
    send: (bytes) => void upstream.write(bytes),
    answer: (bytes) => void client.write(bytes),
  };
}

function forward(to: Socket, bytes: Buffer | null): void {
  if (bytes && bytes.length > 0 && !to.destroyed) to.write(bytes);
}
