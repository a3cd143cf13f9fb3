import { execFileSync } from 'node:child_process';
import { cpus, loadavg, totalmem } from 'node:os';
import { markdownTable, median, megabytes, milliseconds, seconds } from './figures.mjs';
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

/** One contender's round in a line. */
export function summarise(result) {
  const parts = [seconds(result.ms)];
  if (Number.isFinite(result.streamMs)) parts.push(`${seconds(result.streamMs)} of streaming`);
  if (Number.isFinite(result.sourceCpuMs)) parts.push(`CPU of source ${seconds(result.sourceCpuMs)}, target ${seconds(result.targetCpuMs)}`);
  if (Number.isFinite(result.cpuMs)) {
    parts.push(`own ${seconds(result.cpuMs)}`, megabytes(result.peakBytes), `event loop held ${milliseconds(result.loopMaxMs)}`);
    parts.push(`${seconds(result.wholeMs)} with its start`);
  }
  return parts.join(', ');
}

/** Everything as Markdown. */
export function report(about, rows) {
  const heading = ['work', 'native', 'pgfollow', 'native / ours', 'to reach', 'our CPU', 'our RSS', 'event loop held'];
  const gigabytes = Math.round(about.memoryBytes / 2 ** 30);
  return [
    `${about.date}, PostgreSQL ${about.postgres}, Node.js ${about.node}, ${about.cores} cores (${about.cpu}), ${gigabytes} GB; ` +
      `commit ${about.commit ?? 'unknown'}, scale ${about.scale}, median of ${about.rounds}.`,
    '',
    markdownTable([heading, ...rows.map(cells)]),
  ].join('\n');
}

function cells({ title, reach, results, error }) {
  if (error) return [title, 'failed', error.split('\n', 1)[0].replaceAll('|', '/').slice(0, 100), '', '', '', '', ''];
  const of = (contender, figure) => median(results.flatMap((result) => result[contender]?.[figure] ?? []));
  const [native, ours] = [of('native', 'ms'), of('pgfollow', 'ms')];
  return [
    title,
    seconds(native),
    seconds(ours),
    Number.isFinite(native / ours) ? (native / ours).toFixed(2) : '–',
    String(reach),
    seconds(of('pgfollow', 'cpuMs')),
    megabytes(of('pgfollow', 'peakBytes')),
    milliseconds(of('pgfollow', 'loopMaxMs')),
  ];
}
