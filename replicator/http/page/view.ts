import type { Curves } from '../../observe/history.ts';
import type { SlotReading } from '../../observe/model.ts';
import type { Findings, PipelineEvent, Status, TableStatus } from '../../observe/status.ts';

/** Everything the page shows, as it was at one moment. */
export interface PageView {
  readonly status: Status;
  readonly tables: readonly TableStatus[];
  readonly findings: Findings;
  /** Newest last. */
  readonly events: readonly PipelineEvent[];
  /** The last 15 minutes. */
  readonly curves: Curves;
  readonly queue: { readonly bytes: number; readonly limitBytes: number };
  readonly slot: SlotReading | null;
  /** The source does not answer: the lag may be more than it says. */
  readonly lagAtLeast: boolean;
  /** ms since 1970. */
  readonly nowMs: number;
  readonly canLogOut: boolean;
  /** For formField(), which every form of the page holds. */
  readonly formToken: string;
}
