import { History } from '../../observe/history.ts';
import type { Sample } from '../../observe/history.ts';
import { bytes, bytesText, count, duration, rate } from './format.ts';
import type { Quantity } from './format.ts';
import { html } from './html.ts';
import type { Html } from './html.ts';
import { sparkline } from './sparkline.ts';
import type { PageView } from './view.ts';

/** The numbers that matter, each with its last five minutes. */
export function renderTiles(view: PageView): Html {
  const { status, history } = view;
  const { lag, rates, totals } = status;
  const peak = Math.max(...history.map((sample) => sample.lagSeconds ?? 0), lag.seconds ?? 0);
  const { value, unit } = duration(peak);
  const peakNote = lag.seconds === null ? 'not measured yet' : `peak ${value} ${unit} in 5 min`;
  const rows = totals.insert + totals.update + totals.delete;
  const retained = status.slot?.retainedBytes ?? null;
  const curve = (pick: (sample: Sample) => number | null, atLeast: number): Html =>
    sparkline(
      history.map((sample) => ({ atMs: sample.atMs, value: pick(sample) })),
      { spanMs: History.SPAN_MS, atLeast },
    );
  return html`<section id="tiles" aria-labelledby="tiles-title">
    <h2 id="tiles-title" class="sr-only">Numbers, with the last five minutes</h2>
    <dl class="tiles">
      ${tile(
        'Lag',
        lag.seconds === null ? duration(null) : withPrefix(view.lagAtLeast ? '≥ ' : '', duration(lag.seconds)),
        peakNote,
        curve((sample) => sample.lagSeconds, 1),
      )}
      ${tile(
        'WAL to apply',
        bytes(lag.bytes),
        'written by the source, not applied',
        curve((sample) => sample.lagBytes, 65_536),
      )}
      ${tile(
        'Rows',
        { value: rate(rates.rowsPerSecond), unit: '/s' },
        `${count(rows)} since start`,
        curve((sample) => sample.rowsPerSecond, 10),
      )}
      ${tile(
        'Transactions',
        { value: rate(rates.transactionsPerSecond), unit: '/s' },
        `${count(totals.transactions)} since start`,
        curve((sample) => sample.transactionsPerSecond, 10),
      )}
      ${tile(
        'WAL kept by the slot',
        bytes(retained),
        slotLimit(view),
        curve((sample) => sample.retainedBytes, 1_048_576),
        meter(retained, view.slot?.limitBytes ?? null),
      )}
      ${tile(
        'Queue',
        bytes(view.queue.bytes),
        view.queue.limitBytes > 0 ? `of ${bytesText(view.queue.limitBytes)}` : 'in memory',
        curve((sample) => sample.queueBytes, 65_536),
        meter(view.queue.bytes, view.queue.limitBytes || null),
      )}
    </dl>
  </section>`;
}

function tile(label: string, { value, unit }: Quantity, note: string, curve: Html, bar: Html | null = null): Html {
  return html`<div class="tile">
    <dt>${label}</dt>
    <dd>
      <span class="number">${value}<span class="unit">${unit}</span></span
      ><span class="note">${note}</span>${bar}${curve}
    </dd>
  </div>`;
}

function withPrefix(prefix: string, { value, unit }: Quantity): Quantity {
  return { value: prefix + value, unit };
}

function slotLimit({ slot }: PageView): string {
  if (slot === null) return 'no slot yet';
  if (slot.limitBytes === null) return 'the source sets no limit';
  const safe = slot.safeBytes === null ? '' : `, ${bytesText(slot.safeBytes)} to go`;
  return `of ${bytesText(slot.limitBytes)}${safe}`;
}

/** How full, in colour from 80 % on; nothing where there is no limit. */
function meter(value: number | null, limit: number | null): Html | null {
  if (value === null || limit === null || limit <= 0) return null;
  const percent = Math.min(100, Math.round((value / limit) * 100));
  const tone = percent >= 95 ? 'bad' : percent >= 80 ? 'warn' : 'good';
  return html`<svg
    class="meter tone-${tone}"
    viewBox="0 0 100 4"
    preserveAspectRatio="none"
    role="img"
    aria-label="${percent} % full"
  >
    <rect class="meter-all" width="100" height="4" />
    <rect class="meter-part" width="${percent}" height="4" />
  </svg>`;
}
