import type { Applied } from '../apply/run.ts';
import type { Batch } from '../change/batcher.ts';
import type { Lsn } from '../postgres/lsn.ts';
import type { Activity } from './stopwatch.ts';
import type { LockHolder } from './target-waits.ts';

/** What the page and the metrics hear of the stream. */
export interface FollowObserver {
  /** These transactions are about to be applied: the target may show them from now on. */
  applying(xids: readonly number[]): void;
  /** The stream has started where it should. */
  started(): void;
  received(lsn: Lsn, bytes: number): void;
  applied(lsn: Lsn): void;
  acknowledged(lsn: Lsn): void;
  sourceWalEnd(lsn: Lsn): void;
  queue(bytes: number, limitBytes: number): void;
  /** Bytes of streamed transactions that are kept on disk. */
  spilled(bytes: number): void;
  backpressure(ms: number): void;
  /** Where time went; `ms` may be negative, where it was booked elsewhere before. */
  spent(activity: Activity, ms: number): void;
  /** A batch waits for a lock on the target; null once it is over. */
  locked(holder: LockHolder | null): void;
  /** Commits wait for a standby of the target, or no longer. */
  standbyAwaited(isAwaited: boolean): void;
  batch(batch: Batch, applied: Applied, durationMs: number): void;
  heartbeatEmitted(id: string, atMs: number): void;
  heartbeatApplied(id: string): void;
}
