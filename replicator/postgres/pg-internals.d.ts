// What @types/pg leaves out of node-postgres 8.23 and we rely on: COPY on the wire connection under a Client.
import type { Duplex } from 'node:stream';

declare module 'pg' {
  interface ClientConfig {
    sslnegotiation?: 'postgres' | 'direct' | undefined;
    enableChannelBinding?: boolean | undefined;
  }
  interface Client {
    /** Of the backend; null before the connection stands. */
    readonly processID: number | null;
    /** Nothing is under way. */
    readonly readyForQuery: boolean;
  }
  interface Connection {
    readonly stream: Duplex;
    sendCopyFromChunk(chunk: Buffer): void;
    endCopyFrom(): void;
    sendCopyFail(message: string): void;
  }
}
