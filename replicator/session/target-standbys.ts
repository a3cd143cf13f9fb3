import type { Client } from 'pg';
import { connect } from '../postgres/connect.ts';
import { on } from './blame.ts';
import type { Ends } from './ends.ts';

/** A wait for a standby is told once it has lasted so long. */
const TOLD_MS = 5000;

/** How that is told, with what ends it. */
export const STANDBY_AWAITED = {
  code: 'TARGET_STANDBY_AWAITED',
  message:
    'The target waits for its synchronous standby to confirm what was committed. Rows are applied and can be seen there, but they are not acknowledged, so the source keeps its WAL.',
  remedy:
    "SELECT application_name, state, sync_state, flush_lsn FROM pg_stat_replication; on the target, and start the standby that is missing. To do without it: ALTER SYSTEM SET synchronous_standby_names = ''; SELECT pg_reload_conf();",
} as const;

/**
 * The synchronous standbys of the target. Rows are committed without waiting for them, on every connection of ours; what is acknowledged
 * to the source has reached them, so that one that is promoted goes on where the stream is.
 * https://www.postgresql.org/docs/current/warm-standby.html#SYNCHRONOUS-REPLICATION
 */
export class TargetStandbys {
  readonly #ends: Pick<Ends, 'config' | 'target' | 'adopt'>;
  readonly #awaited: (isAwaited: boolean) => void;
  #client: Client | null = null;

  constructor(ends: Pick<Ends, 'config' | 'target' | 'adopt'>, awaited: (isAwaited: boolean) => void) {
    this.#ends = ends;
    this.#awaited = awaited;
  }

  /**
   * Resolves once all that the target has committed by now is on the disk of as many standbys as synchronous_standby_names asks for: with
   * false where the signal, or somebody else, has cut the wait short.
   */
  async reached(signal: AbortSignal): Promise<boolean> {
    const client = (this.#client ??= await this.#open());
    if (signal.aborted) return false;
    // A backend that waits for a standby does not notice that its client has gone.
    const cancel = (): void => {
      this.#ends.target.query('SELECT pg_catalog.pg_cancel_backend($1)', [client.processID]).catch(() => {});
    };
    let isCutShort = false;
    // Then the commit stands all the same, and only a warning tells that it was not waited for.
    const onNotice = (): void => void (isCutShort = true);
    const timer = setTimeout(() => this.#awaited(true), TOLD_MS);
    signal.addEventListener('abort', cancel, { once: true });
    client.on('notice', onNotice);
    try {
      // The least that a commit waits for: something in the WAL.
      await on('target', client.query(`SELECT pg_catalog.pg_logical_emit_message(true, 'pgfollow', '')`));
    } finally {
      clearTimeout(timer);
      signal.removeEventListener('abort', cancel);
      client.off('notice', onNotice);
    }
    // Where somebody has cut it short it begins again, unless there is nothing to wait for any more.
    this.#awaited(false);
    return !isCutShort;
  }

  async #open(): Promise<Client> {
    const { config, adopt } = this.#ends;
    const settings = { synchronous_commit: 'on', client_min_messages: 'warning' };
    const client = await connect({ role: 'target', url: config.target.url, purpose: `${config.name} standbys`, settings });
    adopt(client);
    return client;
  }
}
