import type { Curves } from '../../observe/history.ts';

/** So many points are drawn; more could not be told apart. */
const POINTS = 180;

/** A column of history in fewer steps. */
export interface Curve {
  readonly values: readonly (number | null)[];
  readonly stepSeconds: number;
  /** When the last step begins, in seconds since 1970. */
  readonly endSeconds: number;
}

/** Steps taken together: by the highest of them, or by their mean. Null where none of them is known. */
export function curve(curves: Curves, values: readonly (number | null)[], how: 'most' | 'mean'): Curve {
  const every = Math.max(1, Math.round(values.length / POINTS));
  const fromSeconds = Date.parse(curves.from) / 1000;
  // Cut where the clock cuts, so that a step keeps its height while the curve moves on.
  const skip = (every - ((fromSeconds / curves.stepSeconds) % every)) % every;
  const reduced: (number | null)[] = [];
  for (let at = skip; at < values.length; at += every) reduced.push(together(values.slice(at, at + every), how));
  return {
    values: reduced,
    stepSeconds: curves.stepSeconds * every,
    endSeconds: fromSeconds + (skip + (reduced.length - 1) * every) * curves.stepSeconds,
  };
}

/** The greatest known value, or null. */
export function peak(values: readonly (number | null)[]): number | null {
  return together(values, 'most');
}

/** The mean of the known values, or null. */
export function mean(values: readonly (number | null)[]): number | null {
  return together(values, 'mean');
}

function together(values: readonly (number | null)[], how: 'most' | 'mean'): number | null {
  let known = 0;
  let result = 0;
  for (const value of values) {
    if (value === null) continue;
    result = how === 'most' && known > 0 ? Math.max(result, value) : how === 'most' ? value : result + value;
    known++;
  }
  if (known === 0) return null;
  return how === 'most' ? result : result / known;
}
