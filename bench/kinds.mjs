import { copyRound } from './copy.mjs';
import { drainRound } from './drain.mjs';
import { median, megabytes, milliseconds, percent, seconds } from './figures.mjs';
import { idleRound } from './idle.mjs';
import { latencyRound } from './latency.mjs';
import { copies } from './workloads/copies.mjs';
import { applications } from './workloads/applications.mjs';
import { drains } from './workloads/drains.mjs';
import { idles, latencies } from './workloads/others.mjs';

/**
 * How each kind of workload is measured (`round`), how one contender's round reads in a line (`line`), and what the table
 * says: `figure` of a contender's medians, `ratio` of both and whether ours is what it is to be (`reached`). `of(name)` is
 * the median of a figure over the rounds.
 */
const timed = {
  line: timedLine,
  figure: (of) => seconds(of('ms')),
  ratio: (native, ours) => native('ms') / ours('ms'),
  goal: (reach) => String(reach),
  reached: (reach, native, ours) => native('ms') / ours('ms') >= reach,
};

const latency = {
  round: latencyRound,
  line: (result) =>
    [
      `p50 ${milliseconds(result.p50)}, p99 ${milliseconds(result.p99)}, most ${milliseconds(result.max)}`,
      `at ${Math.round(result.perSecond)} tx/s`,
      ...ownCost(result),
      others(result),
    ].join(', '),
  figure: (of) => `p50 ${milliseconds(of('p50'))}, p99 ${milliseconds(of('p99'))}`,
  ratio: (native, ours) => native('p50') / ours('p50'),
  goal: (reach) => `p50 < ${reach.p50} ms, p99 < ${reach.p99} ms`,
  reached: (reach, _native, ours) => ours('p50') < reach.p50 && ours('p99') < reach.p99,
};

const idle = {
  round: idleRound,
  line: (result) =>
    `${percent(result.cpuShare)} of a core, source ${percent(result.sourceCpuShare)}, target ${percent(result.targetCpuShare)}; ` +
    `statements a second on source ${result.sourceStatements.toFixed(1)}, target ${result.targetStatements.toFixed(1)}; ${others(result)}`,
  figure: (of) =>
    `${percent(of('cpuShare'))}; ${of('sourceStatements').toFixed(1)} and ${of('targetStatements').toFixed(1)} statements/s`,
  ratio: () => NaN,
  goal: (reach) => `< ${percent(reach.cpuShare)}, < ${reach.statements} statements/s`,
  reached: (reach, _native, ours) =>
    ours('cpuShare') < reach.cpuShare && Math.max(ours('sourceStatements'), ours('targetStatements')) < reach.statements,
};

/** Every workload with its kind, in the order of the table. */
export const WORKLOADS = [
  ...[...drains, ...applications].map((workload) => ({ ...workload, kind: { ...timed, round: drainRound } })),
  ...copies.map((workload) => ({ ...workload, kind: { ...timed, round: copyRound, copies: true } })),
  ...latencies.map((workload) => ({ ...workload, kind: latency })),
  ...idles.map((workload) => ({ ...workload, kind: idle })),
];

/** One row of the table, in the order of HEADING. */
export const HEADING = [
  'work',
  'native',
  'pgfollow',
  'pgcopydb',
  'native / ours',
  'to reach',
  'reached',
  'CPU native',
  'CPU ours',
  'of it Node.js',
  'RSS',
  'event loop held',
];

export function tableRow({ workload, results, error }) {
  const { title, reach, kind } = workload;
  if (error) {
    const said = error.split('\n', 1)[0].replaceAll('|', '/').slice(0, 100);
    const cells = [title, 'failed', said, '–', '–', kind.goal(reach), 'no'];
    return [...cells, ...Array.from({ length: HEADING.length - cells.length }, () => '–')];
  }
  const medians = (contender) => (figure) => median(results.flatMap((result) => result[contender]?.[figure] ?? []));
  const measured = (contender) => results.some((result) => contender in result);
  const [native, ours] = [medians('native'), medians('pgfollow')];
  const ratio = kind.ratio(native, ours);
  const judged = measured('pgfollow') && (measured('native') || typeof reach !== 'number');
  return [
    title,
    measured('native') ? kind.figure(native) : '–',
    measured('pgfollow') ? kind.figure(ours) : '–',
    measured('pgcopydb') ? kind.figure(medians('pgcopydb')) : '–',
    Number.isFinite(ratio) ? ratio.toFixed(2) : '–',
    kind.goal(reach),
    judged ? (kind.reached(reach, native, ours) ? 'yes' : 'no') : '–',
    seconds(native('allCpuMs')),
    seconds(ours('allCpuMs')),
    seconds(ours('cpuMs')),
    megabytes(ours('peakBytes')),
    milliseconds(ours('loopMaxMs')),
  ];
}

function timedLine(result) {
  return [
    seconds(result.ms),
    `${seconds(result.streamMs)} of streaming`,
    `CPU of source ${seconds(result.sourceCpuMs)}, target ${seconds(result.targetCpuMs)}`,
    ...ownCost(result),
    others(result),
    ...(result.wholeMs > result.ms ? [`${seconds(result.wholeMs)} with its start`] : []),
  ].join(', ');
}

/** What only our process has. */
function ownCost(result) {
  if (result.cpuMs === undefined) return [];
  return [`own ${seconds(result.cpuMs)}`, megabytes(result.peakBytes), `event loop held ${milliseconds(result.loopMaxMs)}`];
}

function others(result) {
  return `others took ${percent(result.othersCpuShare)} of a core`;
}
