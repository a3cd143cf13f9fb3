import type { Range, SeriesName } from '../../observe/history.ts';
import { curve, mean, peak } from './curve.ts';
import { bytes, bytesText, count, duration, rate } from './format.ts';
import type { Quantity } from './format.ts';
import { html } from './html.ts';
import type { Html } from './html.ts';
import { hrefOf } from './page-query.ts';
import { slotVerdict } from './slot-tile.ts';
import { sparkline } from './sparkline.ts';
import type { Sparkline } from './sparkline.ts';
import type { PageView } from './view.ts';

const SPANS: Readonly<Record<Range, { readonly title: string; readonly short: string }>> = {
  '15m': { title: 'the last 15 minutes', short: '15 min' },
  '24h': { title: 'the last 24 hours', short: '24 h' },
};

/** The numbers that matter, each with its last 15 minutes, or its last day. */
export function renderTiles(view: PageView): Html {
  const { query, path, curves } = view;
  return html`<section id="tiles" aria-labelledby="tiles-title">
    <div class="section-head">
      <h2 id="tiles-title">Now, and in ${SPANS[curves.range].title}</h2>
      <nav class="chips end" aria-label="How far back">
        ${Object.entries(SPANS).map(
          ([range, { short }]) =>
            html`<a
              class="chip"
              href="${hrefOf(path, query, { range: range as Range })}#tiles"
              data-live
              ${query.range === range && html` aria-current="true"`}
              >${short}</a
            >`,
        )}
      </nav>
    </div>
    <dl class="tiles">
      ${lagTile(view)} ${rowsTile(view)} ${transactionsTile(view)} ${walTile(view)} ${queueTile(view)} ${slotTile(view)}
    </dl>
  </section>`;
}

function lagTile(view: PageView): Html {
  const { seconds } = view.status.lag;
  const highest = peak(view.curves.series.lagSeconds);
  const now = duration(seconds);
  return tile({
    label: 'Lag',
    quantity: { ...now, value: view.lagAtLeast && seconds !== null ? `≥ ${now.value}` : now.value },
    note:
      highest === null
        ? 'not measured yet'
        : `peak ${said(duration(Math.max(highest, seconds ?? 0)))} in ${SPANS[view.curves.range].short}`,
    curve: one(view, 'lagSeconds', 'most', { names: ['lag'], unit: 's', atLeast: 1 }),
  });
}

function rowsTile(view: PageView): Html {
  const { rates, totals } = view.status;
  const { curves } = view;
  const series = (['insertsPerSecond', 'updatesPerSecond', 'deletesPerSecond'] as const).map((name) =>
    curve(curves, curves.series[name], 'mean'),
  );
  const names = ['inserts', 'updates', 'deletes'];
  const highest = peak(stackOf(series.map((each) => each.values)));
  return tile({
    label: 'Rows',
    quantity: { value: rate(rates.rowsPerSecond), unit: '/s' },
    note: html`${count(totals.insert + totals.update + totals.delete)} since start
      <span class="legend">${names.map((name, i) => html`<span class="series-${i}"><i></i>${name}</span>`)}</span>`,
    curve: sparkline({
      curves: series,
      names,
      unit: '/s',
      atLeast: 10,
      label: label(curves, 'Rows a second', said({ value: rate(highest ?? 0), unit: '/s' })),
    }),
  });
}

function transactionsTile(view: PageView): Html {
  const { rates, totals } = view.status;
  return tile({
    label: 'Transactions',
    quantity: { value: rate(rates.transactionsPerSecond), unit: '/s' },
    note: `${count(totals.transactions)} since start`,
    curve: one(view, 'transactionsPerSecond', 'mean', { names: ['transactions'], unit: '/s', atLeast: 10 }),
  });
}

function walTile(view: PageView): Html {
  return tile({
    label: 'WAL to apply',
    quantity: bytes(view.status.lag.bytes),
    note: 'written by the source, not applied',
    curve: one(view, 'lagBytes', 'most', { names: ['to apply'], unit: 'B', atLeast: 65_536 }),
  });
}

function queueTile(view: PageView): Html {
  const { bytes: queued, limitBytes } = view.queue;
  return tile({
    label: 'Queue in memory',
    quantity: bytes(queued),
    note: limitBytes > 0 ? `of ${bytesText(limitBytes)}` : 'nothing waits',
    bar: meter(queued, limitBytes || null, null),
    curve: one(view, 'queueBytes', 'most', { names: ['queued'], unit: 'B', atLeast: 65_536 }),
  });
}

function slotTile(view: PageView): Html {
  const { slot, curves } = view;
  const verdict = slotVerdict(slot, mean(curves.series.walBytesPerSecond));
  const retained = slot?.retainedBytes ?? null;
  return tile({
    label: 'WAL kept by the slot',
    quantity: bytes(retained),
    note: verdict.tone === 'good' ? verdict.note : html`<span class="tone-${verdict.tone} toned">${verdict.note}</span>`,
    bar: meter(retained, slot?.limitBytes ?? null, verdict.tone),
    curve: one(view, 'retainedBytes', 'most', { names: ['kept'], unit: 'B', atLeast: 1_048_576 }),
  });
}

interface Tile {
  readonly label: string;
  readonly quantity: Quantity;
  readonly note: Html | string;
  readonly curve: Html;
  readonly bar?: Html | null;
}

function tile({ label, quantity, note, curve, bar }: Tile): Html {
  return html`<div class="tile" data-key="${label}">
    <dt>${label}</dt>
    <dd>
      <span class="number">${quantity.value}<span class="unit">${quantity.unit}</span></span
      ><span class="note">${note}</span>${bar}${curve}
    </dd>
  </div>`;
}

function one(
  { curves }: PageView,
  name: SeriesName,
  how: 'most' | 'mean',
  look: Pick<Sparkline, 'names' | 'unit' | 'atLeast'>,
): Html {
  const values = curves.series[name];
  const highest = peak(values) ?? 0;
  const { unit } = look;
  const most = unit === 's' ? said(duration(highest)) : unit === 'B' ? bytesText(highest) : `${rate(highest)}/s`;
  return sparkline({ ...look, curves: [curve(curves, values, how)], label: label(curves, look.names[0] ?? '', most) });
}

function label({ range }: PageView['curves'], what: string, most: string): string {
  return `${what}, ${SPANS[range].title}, ${most} at most`;
}

function said({ value, unit }: Quantity): string {
  return unit ? `${value} ${unit}` : value;
}

function stackOf(columns: readonly (readonly (number | null)[])[]): (number | null)[] {
  return (columns[0] ?? []).map((_, i) =>
    columns.reduce<number | null>((sum, each) => (each[i] === null ? sum : (sum ?? 0) + each[i]!), null),
  );
}

/** How full, in colour from 80 % on; nothing where there is no limit. */
function meter(value: number | null, limit: number | null, tone: 'good' | 'warn' | 'bad' | null): Html | null {
  if (value === null || limit === null || limit <= 0) return null;
  const percent = Math.min(100, Math.round((value / limit) * 100));
  const shown = tone ?? (percent >= 95 ? 'bad' : percent >= 80 ? 'warn' : 'good');
  return html`<svg
    class="meter tone-${shown}"
    viewBox="0 0 100 4"
    preserveAspectRatio="none"
    role="img"
    aria-label="${percent} % full"
  >
    <rect class="meter-all" width="100" height="4" />
    <rect class="meter-part" width="${percent}" height="4" />
  </svg>`;
}
