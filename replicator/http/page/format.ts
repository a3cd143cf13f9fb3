/** A number with its unit, apart so that the page can set them in different sizes. */
export interface Quantity {
  readonly value: string;
  readonly unit: string;
}

const UNKNOWN: Quantity = { value: '–', unit: '' };

const UNITS = ['bytes', 'kB', 'MB', 'GB', 'TB', 'PB'];
const COUNT = new Intl.NumberFormat('en-US', { maximumFractionDigits: 0 });

/** In powers of 1024 under the names PostgreSQL gives them (pg_size_pretty). */
export function bytes(count: number | null | undefined): Quantity {
  if (count === null || count === undefined) return UNKNOWN;
  let scaled = count;
  let unit = 0;
  while (scaled >= 1024 && unit < UNITS.length - 1) {
    scaled /= 1024;
    unit += 1;
  }
  return {
    value: unit === 0 || scaled >= 100 ? COUNT.format(scaled) : scaled.toFixed(1).replace('.0', ''),
    unit: UNITS[unit] ?? '',
  };
}

export function bytesText(count: number | null | undefined): string {
  const { value, unit } = bytes(count);
  return unit ? `${value} ${unit}` : value;
}

/** `12,345`. */
export function count(value: number): string {
  return COUNT.format(value);
}

/** `0`, `0.4`, `17`, `12,345`: per second. */
export function rate(perSecond: number): string {
  return perSecond > 0 && perSecond < 10 ? perSecond.toFixed(1) : COUNT.format(perSecond);
}

/** `count(3, 'row')` with its noun: `3 rows`. */
export function plural(value: number, noun: string): string {
  return `${count(value)} ${noun}${value === 1 ? '' : 's'}`;
}

/** Lag for a tile: `0.2 s`, `1 min 15 s`. */
export function duration(seconds: number | null): Quantity {
  if (seconds === null) return UNKNOWN;
  if (seconds < 0.1) return { value: String(Math.round(seconds * 1000)), unit: 'ms' };
  if (seconds < 9.95) return { value: seconds.toFixed(1), unit: 's' };
  if (seconds < 119.5) return { value: String(Math.round(seconds)), unit: 's' };
  if (seconds < 7170) return { value: String(Math.round(seconds / 60)), unit: 'min' };
  if (seconds < 172_000) return { value: (seconds / 3600).toFixed(1), unit: 'h' };
  return { value: (seconds / 86_400).toFixed(1), unit: 'days' };
}

/** How long ago, coarse so that an idle page does not flicker: `just now`, `12 s ago`, `3 min ago`. */
export function ago(at: string, nowMs: number): string {
  const seconds = Math.max(0, (nowMs - Date.parse(at)) / 1000);
  if (seconds < 5) return 'just now';
  if (seconds < 60) return `${Math.floor(seconds / 5) * 5} s ago`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ago`;
  if (seconds < 86_400) return `${Math.floor(seconds / 3600)} h ago`;
  const days = Math.floor(seconds / 86_400);
  return days === 1 ? '1 day ago' : `${days} days ago`;
}

/** How long until then: `in 12 s`. */
export function until(at: string, nowMs: number): string {
  const { value, unit } = duration(Math.max(1, Math.ceil((Date.parse(at) - nowMs) / 1000)));
  return `in ${value} ${unit}`;
}

/** `03:04:05`, with the day where it is not today's, UTC. */
export function clock(at: string, nowMs: number): string {
  const day = at.slice(0, 10);
  const time = at.slice(11, 19);
  return day === new Date(nowMs).toISOString().slice(0, 10) ? time : `${day} ${time}`;
}
