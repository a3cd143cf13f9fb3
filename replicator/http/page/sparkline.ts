import type { Curve } from './curve.ts';
import { html } from './html.ts';
import type { Html } from './html.ts';

const WIDTH = 240;
const HEIGHT = 44;

export interface Sparkline {
  /** One curve, or several on top of each other. */
  readonly curves: readonly Curve[];
  /** What each is called where the hand points at it. */
  readonly names: readonly string[];
  /** How its values are told: seconds, bytes, or so many a second. */
  readonly unit: 's' | 'B' | '/s';
  /** The top of the scale when everything is smaller, so that noise near zero stays flat. */
  readonly atLeast: number;
  /** What it shows, in words, for who does not see it. */
  readonly label: string;
}

/** Curves of what was; null values are gaps. The script reads data-values to tell value and time. */
export function sparkline({ curves, names, unit, atLeast, label }: Sparkline): Html {
  const [first] = curves;
  if (!first) return html``;
  const stacked = stack(curves.map(({ values }) => values));
  const top = Math.max(atLeast, ...(stacked.at(-1) ?? []).map((value) => value ?? 0));
  const layers = stacked.map((values, i) => layer(values, i, top)).toReversed();
  const values = curves.map((each) => each.values.map(short).join(',')).join(';');
  return html`<div
    class="spark"
    role="img"
    tabindex="0"
    aria-label="${label}"
    data-spark="${unit}"
    data-names="${names.join(',')}"
    data-step="${first.stepSeconds}"
    data-end="${first.endSeconds}"
    data-top="${short(top)}"
    data-values="${values}"
  >
    <svg viewBox="0 0 ${WIDTH} ${HEIGHT}" preserveAspectRatio="none" aria-hidden="true" focusable="false">
      <path class="spark-base" d="M0 ${HEIGHT - 0.5}H${WIDTH}" />
      ${layers}
    </svg>
  </div>`;
}

/** Each curve on the shoulders of those before it. */
function stack(columns: readonly (readonly (number | null)[])[]): (number | null)[][] {
  const below: number[] = [];
  return columns.map((column) =>
    column.map((value, i) => {
      if (value === null) return null;
      below[i] = (below[i] ?? 0) + value;
      return below[i];
    }),
  );
}

function layer(values: readonly (number | null)[], index: number, top: number): Html {
  const x = (i: number): number => round((i / Math.max(1, values.length - 1)) * WIDTH);
  const y = (value: number): number => round(HEIGHT - 2 - (value / top) * (HEIGHT - 6));
  let line = '';
  let area = '';
  let run: string[] = [];
  const end = (): void => {
    const first = run[0];
    const last = run.at(-1);
    if (first && last && run.length > 1) {
      line += `M${run.join('L')}`;
      area += `M${first.split(' ')[0]} ${HEIGHT}L${run.join('L')}L${last.split(' ')[0]} ${HEIGHT}Z`;
    }
    run = [];
  };
  for (const [i, value] of values.entries()) {
    if (value === null) end();
    else run.push(`${x(i)} ${y(value)}`);
  }
  end();
  return html`<g class="series-${index}"><path class="spark-area" d="${area}" /><path class="spark-line" d="${line}" /></g>`;
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}

/** Three digits are as much as anybody reads off a curve. */
function short(value: number | null): string {
  return value === null ? '' : String(Number(value.toPrecision(value >= 1000 ? 4 : 3)));
}
