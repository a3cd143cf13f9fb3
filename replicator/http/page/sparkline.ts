import { html } from './html.ts';
import type { Html } from './html.ts';

const WIDTH = 240;
const HEIGHT = 40;

/**
 * A curve of the last five minutes; null values are gaps. Decoration: the number beside it says the same in text.
 * `atLeast`: the top of the scale when everything is smaller, so that noise near zero stays flat.
 */
export function sparkline(
  points: readonly { atMs: number; value: number | null }[],
  options: { spanMs: number; atLeast: number },
): Html {
  const until = points.at(-1)?.atMs ?? 0;
  const top = Math.max(options.atLeast, ...points.map((point) => point.value ?? 0));
  const x = (atMs: number): number => round(WIDTH - ((until - atMs) / options.spanMs) * WIDTH);
  const y = (value: number): number => round(HEIGHT - 2 - (value / top) * (HEIGHT - 5));

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
  for (const { atMs, value } of points) {
    if (value === null) end();
    else run.push(`${x(atMs)} ${y(value)}`);
  }
  end();
  return html`<svg class="spark" viewBox="0 0 ${WIDTH} ${HEIGHT}" preserveAspectRatio="none" aria-hidden="true" focusable="false">
    <path class="spark-base" d="M0 ${HEIGHT - 0.5}H${WIDTH}" />
    <path class="spark-area" d="${area}" />
    <path class="spark-line" d="${line}" />
  </svg>`;
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}
