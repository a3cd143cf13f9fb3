import { setTimeout as sleep } from 'node:timers/promises';
import type { Client } from 'pg';
import { connect, destroySocket, disconnect, type ConnectOptions } from '../postgres/connect.ts';
import { isTransient, SQLSTATE, sqlState } from '../postgres/sqlstate.ts';
import { Problem } from '../problem.ts';
import type { Query } from './side-sql.ts';

/** A statement took too long: less of the table at a time. */
export class TooLong extends Error {
  override readonly name = 'TooLong';
}

const SETTINGS = {
  // A statement that finds keys is to go by their index, and none is to take more than one core.
  enable_hashjoin: 'off',
  enable_mergejoin: 'off',
  max_parallel_workers_per_gather: '0',
  jit: 'off',
  statement_timeout: '10000',
  // Who wants to change a table does not wait for us, and nobody queues behind our waiting.
  lock_timeout: '250',
};
const AGAIN_MS = 300;
/** It may work for so long before it rests: what both sides do in turns, one rests from while the other works. */
const AT_ONCE_MS = 2000;
/** So long a server may be away, or a lock be held, before the table is given up. */
const PATIENCE_MS = 60_000;

/**
 * One connection that only reads, to one of the servers. It rests for as long as it works, so that it takes half a core at the most, seen over a few seconds.
 * A connection that was lost is made anew and a lock that is held is waited for from outside: every statement
 * can be run again.
 */
export class Side implements AsyncDisposable {
  readonly #options: ConnectOptions;
  readonly #signal: AbortSignal;
  #client: Client | null = null;
  /** When as much time will have passed without work as with it. */
  #restedAt = 0;
  readonly #cut = (): void => {
    if (this.#client) destroySocket(this.#client);
  };

  constructor(options: Pick<ConnectOptions, 'role' | 'url' | 'purpose'>, signal: AbortSignal) {
    this.#options = { ...options, readOnly: true, settings: SETTINGS };
    this.#signal = signal;
    signal.addEventListener('abort', this.#cut, { once: true });
  }

  /** Throws TooLong, the signal's reason, or what the server says to the statement. */
  async rows<Row extends object>({ text, values }: Query): Promise<Row[]> {
    const patience = Date.now() + PATIENCE_MS;
    for (;;) {
      this.#signal.throwIfAborted();
      await this.#pause(this.#restedAt - AT_ONCE_MS - Date.now());
      const began = Date.now();
      try {
        const client = await this.#open();
        const { rows } = await client.query<Row>({ text, values: [...values] });
        this.#restedAt = Math.max(this.#restedAt, began) + 2 * (Date.now() - began);
        return rows;
      } catch (error) {
        this.#signal.throwIfAborted();
        if (sqlState(error) === SQLSTATE.query_canceled) throw new TooLong();
        if (!passes(error) || Date.now() > patience) throw error;
        if (sqlState(error) !== SQLSTATE.lock_not_available) await this.#close();
        await this.#pause(AGAIN_MS);
      }
    }
  }

  async row<Row extends object>(query: Query): Promise<Row> {
    const [row] = await this.rows<Row>(query);
    if (!row) throw new Error('a statement that always gives a row gave none');
    return row;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#signal.removeEventListener('abort', this.#cut);
    await this.#close();
  }

  async #open(): Promise<Client> {
    if (this.#client) return this.#client;
    const client = await connect(this.#options);
    if (this.#signal.aborted) await disconnect(client);
    this.#signal.throwIfAborted();
    this.#client = client;
    return client;
  }

  async #close(): Promise<void> {
    const client = this.#client;
    this.#client = null;
    await disconnect(client);
  }

  async #pause(ms: number): Promise<void> {
    if (ms > 0) await sleep(ms, null, { signal: this.#signal });
  }
}

// A link that is broken, a server that restarts, a lock, a query in the way of a standby's replay.
function passes(error: unknown): boolean {
  return isTransient(error) || (error instanceof Problem && error.retry === 'transient');
}
