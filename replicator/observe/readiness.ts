import type { Status } from './status.ts';

export interface Readiness {
  readonly ready: boolean;
  /** What is in the way, empty when ready. */
  readonly reasons: readonly string[];
}

/**
 * Ready: both databases answer and the pipeline does its work (or rests because it was told to).
 * Lag does not make it unready: nothing is won by taking a replicator that is behind out of service.
 */
export function readiness(status: Pick<Status, 'state' | 'summary' | 'source' | 'target'>): Readiness {
  const reasons: string[] = [];
  if (!status.source.connected) reasons.push('the source does not answer');
  if (!status.target.connected) reasons.push('the target does not answer');
  if (status.state === 'starting' || status.state === 'retrying' || status.state === 'failed') {
    reasons.push(status.summary);
  }
  return { ready: reasons.length === 0, reasons };
}
