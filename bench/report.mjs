import { execFileSync } from 'node:child_process';
import { cpus, loadavg, totalmem } from 'node:os';
import { markdownTable } from './figures.mjs';
import { HEADING, tableRow } from './kinds.mjs';
import { sql } from './servers.mjs';

/** Where and when it was measured. */
export async function machine({ source }) {
  const [{ server_version: postgres }] = await sql(source.url(), 'SHOW server_version');
  const [first] = cpus();
  return {
    date: new Date().toISOString().slice(0, 10),
    commit: commit(),
    postgres,
    node: process.version,
    cpu: first?.model.trim() ?? 'unknown',
    cores: cpus().length,
    memoryBytes: totalmem(),
    loadAtStart: loadavg()[0],
  };
}

function commit() {
  try {
    return execFileSync('git', ['describe', '--always', '--dirty'], { cwd: import.meta.dirname, encoding: 'utf8' }).trim();
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
    markdownTable([HEADING, ...rows.map(tableRow)]),
  ].join('\n');
}
