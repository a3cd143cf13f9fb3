const DURATION_MS = { ms: 1, s: 1_000, min: 60_000, h: 3_600_000, d: 86_400_000 } as const;

/** 1024 to the next, as in postgresql.conf. */
const SIZE_BYTES = { b: 1, kb: 1024, mb: 1024 ** 2, gb: 1024 ** 3, tb: 1024 ** 4 } as const;

/** What minutes are elsewhere (Prometheus, Docker); it is read, and never printed. */
const DURATIONS_READ_MS = { ...DURATION_MS, m: 60_000 } as const;

/** `500ms`, `1s`, `1.5min`, `5m` -> milliseconds; null when the text is no duration. */
export function parseDuration(text: string): number | null {
  return scaled(text.trim(), DURATIONS_READ_MS);
}

/** `64kB`, `16MB` -> bytes, as is a bare number; null when the text is no size. */
export function parseSize(text: string): number | null {
  return scaled(text.trim().toLowerCase().replace(/^\d+$/, '$&b'), SIZE_BYTES);
}

/** Milliseconds -> the shortest text that reads back as the same: 1000 -> `1s`. */
export function formatDuration(ms: number): string {
  return unscaled(ms, DURATION_MS, (unit) => unit);
}

/** Bytes -> the shortest text that reads back as the same: 16777216 -> `16MB`. */
export function formatSize(bytes: number): string {
  return unscaled(bytes, SIZE_BYTES, (unit) => (unit === 'kb' ? 'kB' : unit.toUpperCase()));
}

function scaled(text: string, units: Readonly<Record<string, number>>): number | null {
  const match = /^(\d+(?:\.\d+)?)\s*([a-z]+)$/.exec(text);
  const [, digits = '', unit = ''] = match ?? [];
  const factor = Object.hasOwn(units, unit) ? units[unit] : undefined;
  if (factor === undefined) return null;
  const value = Math.round(Number(digits) * factor);
  return Number.isSafeInteger(value) ? value : null;
}

function unscaled(value: number, units: Readonly<Record<string, number>>, print: (unit: string) => string): string {
  const fitting = Object.entries(units).filter(([, factor]) => value >= factor && value % factor === 0);
  const [unit, factor] = fitting.at(-1) ?? Object.entries(units)[0] ?? ['', 1];
  return `${value / factor}${print(unit)}`;
}
