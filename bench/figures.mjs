/** The middle of the numbers, the mean of the two middle ones where there is no middle; NaN of none. */
export function median(numbers) {
  const sorted = [...numbers].sort((a, b) => a - b);
  const half = sorted.length / 2;
  return sorted.length % 2 === 1 ? sorted[Math.floor(half)] : (sorted[half - 1] + sorted[half]) / 2;
}

/** The value below which `share` (0 to 1) of the numbers lie, one of them; NaN of none. */
export function percentile(numbers, share) {
  const sorted = [...numbers].sort((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)] ?? NaN;
}

/** For each id from `first` on, ms from its commit to the first look at the target that showed it or a later one. */
export function delays(committed, seen, first) {
  let look = 0;
  return committed.map((at, i) => {
    while (look < seen.length - 1 && seen[look].id < first + i) look++;
    return seen[look].at - at;
  });
}

/** Seconds out of ms, with as many digits as mean something. */
export function seconds(ms) {
  if (!Number.isFinite(ms)) return '–';
  return `${(ms / 1000).toFixed(ms < 1000 ? 2 : 1)} s`;
}

export function milliseconds(ms) {
  return Number.isFinite(ms) ? `${ms.toFixed(ms < 10 ? 1 : 0)} ms` : '–';
}

export function percent(share) {
  return Number.isFinite(share) ? `${(share * 100).toFixed(1)} %` : '–';
}

export function megabytes(bytes) {
  return Number.isFinite(bytes) ? `${Math.round(bytes / 1e6)} MB` : '–';
}

/** A Markdown table; the first row is the heading. Columns after the first are aligned to the right. */
export function markdownTable(rows) {
  const widths = rows[0].map((_, column) => Math.max(3, ...rows.map((row) => [...row[column]].length)));
  const line = (cells) => `| ${cells.map((cell, i) => pad(cell, widths[i], i > 0)).join(' | ')} |`;
  const rule = `|${widths.map((width, i) => (i > 0 ? `${'-'.repeat(width + 1)}:` : '-'.repeat(width + 2))).join('|')}|`;
  return [line(rows[0]), rule, ...rows.slice(1).map(line)].join('\n');
}

function pad(cell, width, right) {
  const space = ' '.repeat(width - [...cell].length);
  return right ? space + cell : cell + space;
}
