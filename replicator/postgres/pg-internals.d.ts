// What @types/pg leaves out of node-postgres 8.23 and we rely on: the wire connection under a Client and the
// interface of a custom query (client.query(submittable)), as pg-cursor and pg-copy-streams use them.
import type { Duplex } from 'node:stream';

declare module 'pg' {
  interface WireConnection {
    stream: Duplex;
    sendCopyFromChunk(chunk: Buffer): void;
    endCopyFrom(): void;
    sendCopyFail(message: string): void;
    query(text: string): void;
    sync(): void;
  }
  interface ClientBase {
    readonly connection: WireConnection;
    readonly processID: number | null;
  }
}
