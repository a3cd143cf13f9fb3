import type { Client } from 'pg';
import { destroySocket, disconnect } from '../postgres/connect.ts';

/** Connections for work that comes in bursts: at most so many at a time, opened when needed, closed when nothing is left. */
export class ClientPool {
  readonly #open: () => Promise<Client>;
  readonly #limit: number;
  readonly #idle: Client[] = [];
  readonly #busy = new Set<Client>();
  readonly #waiting: (() => void)[] = [];
  #taken = 0;
  #cutOff = false;

  constructor(limit: number, open: () => Promise<Client>) {
    this.#limit = limit;
    this.#open = open;
  }

  /** Runs the work on a connection that nobody else uses meanwhile. After an error the connection is not used again. */
  async use<T>(work: (client: Client) => Promise<T>): Promise<T> {
    if (this.#taken >= this.#limit) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    else this.#taken++;
    let client: Client | undefined;
    try {
      client = this.#idle.pop() ?? (await this.#open());
      this.#busy.add(client);
      if (this.#cutOff) throw new Error('Connection terminated');
      const result = await work(client);
      this.#idle.push(client);
      return result;
    } catch (error) {
      if (client) await disconnect(client);
      throw error;
    } finally {
      if (client) this.#busy.delete(client);
      const next = this.#waiting.shift();
      if (next) next();
      else this.#taken--;
    }
  }

  /** Closes the connections that nobody uses. */
  async rest(): Promise<void> {
    await Promise.all(this.#idle.splice(0).map((client) => disconnect(client)));
  }

  /** Ends everything at once: what runs fails. */
  cut(): void {
    this.#cutOff = true;
    for (const client of [...this.#busy, ...this.#idle]) destroySocket(client);
  }
}
