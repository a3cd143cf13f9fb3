import type { Curves } from '../../observe/history.ts';
import type { SlotReading } from '../../observe/readings.ts';
import type { Findings, PipelineEvent, Status, TableStatus } from '../../observe/status.ts';
import type { TableFacts } from '../../observe/table-book.ts';
import type { Validations } from '../../observe/validation.ts';
import type { Html } from './html.ts';
import type { PageQuery } from './page-query.ts';
import type { Theme } from './theme.ts';

/** Everything that pages show, as it was at one moment. */
export interface PageView {
  readonly status: Status;
  readonly tables: readonly Readonly<TableStatus>[];
  readonly factsOf: (source: string) => TableFacts;
  readonly findings: Findings;
  /** The comparison of both sides under way, or the last one. */
  readonly validations: Validations;
  /** Newest last. */
  readonly events: readonly PipelineEvent[];
  /** As far back as the query says. */
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
  /** What was asked for, and where: the address without its query. */
  readonly query: PageQuery;
  readonly path: string;
  readonly theme: Theme;
}

/** What one page puts between header and footer. */
export interface PageBody {
  readonly title: string;
  /** Which entry of the navigation it is. */
  readonly place: 'overview' | 'events' | 'other';
  readonly main: Html;
  /** Whether it changes by itself; a page with something to be typed does not. */
  readonly live: boolean;
}
