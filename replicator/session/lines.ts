import type { Client } from 'pg';
import { connect, destroySocket, disconnect, type ConnectOptions, type Role } from '../postgres/connect.ts';
import { takeTurns } from '../postgres/take-turns.ts';
import { abortAtEnd } from './blame.ts';
import { watchLines, type Line } from './lost-lines.ts';
import { openUnless } from './together.ts';

/** Once a session is over, what it is doing has so long to end by itself: a batch is committed, a transaction finished. */
const GRACE_MS = 4000;
/** After that statements are cancelled; what has not ended so long after is cut off. */
const CANCEL_MS = 1000;

/**
 * The connections of one session. When one of them ends the session is aborted; when the session is over none of them
 * may hold it up: neither a server that does not answer nor somebody else's lock.
 */
export class Lines {
  readonly #lines: Line[] = [];
  readonly #session: AbortController;
  readonly #over: AbortSignal;
  readonly #timers: NodeJS.Timeout[] = [];
  #statements: { readonly apply: Client; readonly target: Client } | null = null;
  readonly #onOver = (): void => {
    if (!this.#statements) return this.#cut();
    this.#timers.push(
      setTimeout(() => this.#cancel(), GRACE_MS),
      setTimeout(() => this.#cut(), GRACE_MS + CANCEL_MS),
    );
  };

  /** `over` aborts when the session is to end, whatever the reason. */
  constructor(session: AbortController, over: AbortSignal) {
    this.#session = session;
    this.#over = over;
    over.addEventListener('abort', this.#onOver, { once: true });
  }

  /** Opens a connection for whoever needs one. */
  async open(options: ConnectOptions): Promise<Client> {
    const client = await openUnless(this.#over, connect(options), (late) => void disconnect(late));
    this.add(client, options.role);
    return takeTurns(client);
  }

  add(client: Client, role: Role): void {
    this.#lines.push({ client, role });
    abortAtEnd(client, role, this.#session);
  }

  /** From here on a connection is noticed that was lost without a word. */
  watch(look: Parameters<typeof watchLines>[1]): void {
    watchLines(this.#lines, look, this.#over).catch((error: unknown) => this.#session.abort(error));
  }

  /** From here on there is work that deserves its time to end: what `apply` runs can be cancelled by way of `target`. */
  opened(statements: { apply: Client; target: Client }): void {
    this.#statements = statements;
  }

  async close(): Promise<void> {
    this.#over.removeEventListener('abort', this.#onOver);
    for (const timer of this.#timers) clearTimeout(timer);
    await Promise.all(this.#lines.map(({ client }) => disconnect(client)));
  }

  // Cut off alone, a backend that waits for a lock would go on waiting, and then apply what it was sent.
  #cancel(): void {
    if (!this.#statements) return;
    const { apply, target } = this.#statements;
    target.query('SELECT pg_catalog.pg_cancel_backend($1)', [apply.processID]).catch(() => {});
  }

  #cut(): void {
    for (const { client } of this.#lines) destroySocket(client);
  }
}
