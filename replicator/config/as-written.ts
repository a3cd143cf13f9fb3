import { redact } from './redact.ts';
import type { Config } from './schema.ts';
import { formatDuration, formatSize } from './units.ts';

/** A configuration as a file would have it: without secrets, durations and sizes with their units. */
export function asWritten(config: Config) {
  const { interval } = config.validation;
  return {
    ...redact(config),
    apply: {
      ...config.apply,
      maxBatchBytes: formatSize(config.apply.maxBatchBytes),
      maxSpillBytes: formatSize(config.apply.maxSpillBytes),
    },
    heartbeat: { ...config.heartbeat, interval: formatDuration(config.heartbeat.interval) },
    validation: { interval: interval === null ? 'off' : formatDuration(interval) },
  };
}
