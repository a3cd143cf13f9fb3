import { execFileSync } from 'node:child_process';
import { cpus, loadavg, totalmem } from 'node:os';
import { markdownTable, median, megabytes, percent } from './figures.mjs';
import { HEADING, tableRow } from './kinds.mjs';
import { sql } from './servers.mjs';

/** What pgfollow may have resident, whatever the work. */
const MOST_BYTES = 256e6;

/** Where and when it was measured. */
export async function machine({ source }, dist) {
  const [{ server_version: postgres }] = await sql(source.url(), 'SHOW server_version');
  const [first] = cpus();
  return {
    date: new Date().toISOString().slice(0, 10),
    commit: commit(dist),
    postgres,
    node: process.version,
    cpu: first?.model.trim() ?? 'unknown',
    cores: cpus().length,
    memoryBytes: totalmem(),
    loadAtStart: loadavg()[0],
  };
}

/** Of the build that was measured. */
function commit(dist) {
  try {
    return execFileSync('git', ['describe', '--always', '--dirty'], { cwd: dist, encoding: 'utf8' }).trim();
  } catch {
    return null;
  }
}

/** Everything as Markdown. */
export function report(about, rows) {
  const gigabytes = Math.round(about.memoryBytes / 2 ** 30);
  return [
    `${about.date}, PostgreSQL ${about.postgres}, Node.js ${about.node}, ${about.cores} cores (${about.cpu}), ${gigabytes} GB; ` +
      `commit ${about.commit ?? 'unknown'}, scale ${about.scale}, median of ${about.rounds}.`,
    '',
    markdownTable(withoutEmpty([HEADING, ...rows.map(tableRow)])),
    ...disturbance(rows),
    ...memory(rows),
  ].join('\n');
}

/** Without the column of who was not asked to take part. */
function withoutEmpty(table) {
  const at = HEADING.indexOf('pgcopydb');
  return table.slice(1).every((row) => row[at] === '–') ? table.map((row) => row.filter((_, column) => column !== at)) : table;
}

function disturbance(rows) {
  const shares = figures(rows, 'othersCpuShare');
  return shares.length > 0
    ? ['', `Others on this machine took ${percent(median(shares))} of a core meanwhile, ${percent(Math.max(...shares))} at most.`]
    : [];
}

function memory(rows) {
  const peaks = figures(rows, 'peakBytes');
  return peaks.length > 0
    ? ['', `Most memory of pgfollow: ${megabytes(Math.max(...peaks))} (to reach: under ${megabytes(MOST_BYTES)}).`]
    : [];
}

/** Everything measured under a name, in any row, round and contender. */
function figures(rows, name) {
  return rows.flatMap(({ results }) => results.flatMap((result) => Object.values(result).flatMap((one) => one[name] ?? [])));
}
