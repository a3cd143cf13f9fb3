import type { Client, Submittable } from 'pg';

/**
 * COPY … FROM STDIN as a custom query of node-postgres. What is written to the connection's socket between ready() and end()
 * are its rows; end() waits for the server's verdict and gives their number; fail() makes the server drop the whole COPY.
 * https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-COPY
 */
export class CopyIn implements Submittable {
  readonly #client: Client;
  readonly #sql: string;
  #failure: Error | null = null;
  #settled = false;
  #tag = '';
  #open = false;
  readonly #opened: Promise<void>;
  readonly #finished: Promise<void>;
  #onOpened: () => void = () => {};
  #onFinished: () => void = () => {};

  constructor(client: Client, sql: string) {
    this.#client = client;
    this.#sql = sql;
    this.#opened = new Promise((resolve) => (this.#onOpened = resolve));
    this.#finished = new Promise((resolve) => (this.#onFinished = resolve));
    client.query(this);
  }

  submit(): void {
    this.#client.connection.query(this.#sql);
  }

  handleRowDescription(): void {}
  handleDataRow(): void {}
  handlePortalSuspended(): void {}
  handleEmptyQuery(): void {}
  handleCopyData(): void {}

  handleCopyInResponse(): void {
    this.#open = true;
    this.#onOpened();
  }

  handleCommandComplete(message: { text: string }): void {
    this.#tag = message.text;
  }

  handleError(error: Error): void {
    this.#failure ??= error;
    this.#settle();
  }

  handleReadyForQuery(): void {
    this.#settle();
  }

  /** Resolves once the server takes rows; rejects with what it said instead. */
  async ready(): Promise<void> {
    await this.#opened;
    if (this.#failure) throw this.#failure;
  }

  /** Never resolves; rejects when the server refuses a row, or the connection is gone. */
  async refused(): Promise<never> {
    await this.#finished;
    throw this.#failure ?? new Error('the COPY has ended');
  }

  /** Ends the stream; resolves with the number of rows the server took. */
  async end(): Promise<number> {
    await this.#opened;
    if (!this.#failure) this.#client.connection.endCopyFrom();
    await this.#finished;
    if (this.#failure) throw this.#failure;
    return Number(this.#tag.split(' ').at(-1));
  }

  /** Gives up: the server rolls the COPY back and answers with an error, which is expected and not thrown. */
  async fail(reason: string): Promise<void> {
    await this.#opened;
    if (this.#open && !this.#settled) this.#client.connection.sendCopyFail(reason);
    await this.#finished;
  }

  #settle(): void {
    if (this.#settled) return;
    this.#settled = true;
    this.#onOpened();
    this.#onFinished();
  }
}
