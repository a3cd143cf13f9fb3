import { formatLsn } from '../postgres/lsn.ts';
import type { Lsn } from '../postgres/lsn.ts';
import type { Status } from './status.ts';

/** How far the source has written, and how far that has come; null where nothing is known yet. */
export class Positions {
  /** Where the source writes. */
  walEnd: Lsn | null = null;
  received: Lsn | null = null;
  applied: Lsn | null = null;
  acknowledged: Lsn | null = null;

  /** WAL that is written and not applied. */
  get lagBytes(): number | null {
    if (this.walEnd === null || this.applied === null) return null;
    return Math.max(0, Number(this.walEnd - this.applied));
  }

  /** WAL that is written and not received. */
  get receiveLagBytes(): number | null {
    if (this.walEnd === null || this.received === null) return null;
    return Math.max(0, Number(this.walEnd - this.received));
  }

  /** It is asked for now and then; what has been received since has been written. */
  get walEndText(): string | null {
    const { walEnd, received } = this;
    return text(walEnd !== null && received !== null && received > walEnd ? received : walEnd);
  }

  get position(): Status['position'] {
    return { received: text(this.received), applied: text(this.applied), acknowledged: text(this.acknowledged) };
  }
}

function text(lsn: Lsn | null): string | null {
  return lsn === null ? null : formatLsn(lsn);
}
