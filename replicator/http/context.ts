import type { Logger } from 'pino';
import type { EventLog } from '../observe/events.ts';
import type { Metrics } from '../observe/metrics.ts';
import type { StatusModel } from '../observe/model.ts';
import type { PipelineControls } from '../observe/status.ts';
import type { Access } from './access.ts';

/** The configuration in effect, without secrets. */
export interface Settings {
  readonly config: object;
  /** Setting -> where its value came from. */
  readonly origins: Readonly<Record<string, string>>;
  /** The same as a file for people. */
  readonly yaml: string;
}

/** What every route may use. */
export interface HttpContext {
  readonly model: StatusModel;
  readonly events: EventLog;
  readonly metrics: Metrics;
  readonly controls: PipelineControls;
  readonly settings: Settings;
  readonly access: Access;
  readonly log: Logger;
  /** ms since 1970. */
  readonly now: () => number;
}
