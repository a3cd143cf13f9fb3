/** Small transactions at an even pace; `reach` in ms from commit on the source to visible on the target. */
export const latencies = [
  {
    name: 'latency',
    title: 'commit on source to visible on target, 500 tx/s',
    rate: 500,
    seconds: 20,
    reach: { p50: 2.5, p99: 8 },
  },
];

/** Nothing to do; `reach` as a share of one core, and statements a second on each side. */
export const idles = [{ name: 'idle', title: 'idle', seconds: 30, reach: { cpuShare: 0.01, statements: 2 } }];
