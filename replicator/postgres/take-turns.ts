import type { Client } from 'pg';

/**
 * Lets several parts of us use one connection: a statement begins when the one before has ended. node-postgres has a queue too,
 * but gives it up with version 9.
 */
export function takeTurns(client: Client): Client {
  const query = client.query.bind(client) as (...statement: unknown[]) => Promise<unknown>;
  let last: Promise<unknown> = Promise.resolve();
  const inTurn = (...statement: unknown[]): Promise<unknown> => {
    const turn = last.then(() => query(...statement));
    last = turn.catch(() => {});
    return turn;
  };
  return Object.assign(client, { query: inTurn as Client['query'] });
}
