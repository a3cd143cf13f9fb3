import { fork } from 'node:child_process';
import { once } from 'node:events';
import { compareDatabases } from './compare.mjs';
import { delays, percentile } from './figures.mjs';
import { enroll, settle, until, untilInStep, withDatabases } from './round.mjs';
import { connect } from './servers.mjs';
import { readClocks, spentBetween } from './usage.mjs';

const SETUP = 'CREATE TABLE ticks (id bigint PRIMARY KEY, note text NOT NULL)';
const WARM_UP_SHARE = 0.1;

/**
 * One round: a process commits a row at a time on the source at an even pace and notes when each commit had returned,
 * another one asks the target all the time for the highest id it sees. Both take the time from the system's monotonic
 * clock, and are the same for both contenders.
 */
export async function latencyRound(bench, workload, order) {
  const count = workload.rate * bench.scaled(workload.seconds);
  return withDatabases(bench, { setup: SETUP, copy: false, order }, async ({ source, contenders }) => {
    const results = {};
    let first = 1;
    await enroll(contenders);
    for (const { contender, target } of contenders) {
      await settle(bench);
      await contender.start();
      await contender.loaded?.();
      await untilInStep(contender, target);
      await untilDrained(contender, { source, target });
      const ids = { first, last: first + count - 1 };
      const before = readClocks(bench.servers, contender);
      const [writer, reader] = await observe({ source, target, rate: workload.rate, ...ids });
      const besides = [writer, reader].reduce((sum, { cpu }) => sum + (cpu.user + cpu.system) / 1000, 0);
      const spent = spentBetween(before, readClocks(bench.servers, contender), besides);
      first += count;
      const { connectedAt: _, ...usage } = await contender.usage();
      results[contender.name] = { ...figures(writer.times, reader.times, ids.first), ...spent, ...usage };
      await contender.stop();
      await compareDatabases(source, target);
    }
    return results;
  });
}

function figures(committed, seen, first) {
  const latencies = delays(committed, seen, first).slice(Math.floor(committed.length * WARM_UP_SHARE));
  return {
    p50: percentile(latencies, 0.5),
    p99: percentile(latencies, 0.99),
    max: Math.max(...latencies),
    perSecond: (committed.length - 1) / ((committed.at(-1) - committed[0]) / 1000),
  };
}

/** The second contender finds what was written for the first in its slot, and drains it before it counts. */
async function untilDrained(contender, { source, target }) {
  const [from, to] = await Promise.all([connect(source), connect(target)]);
  const highest = async (client) => (await client.query('SELECT max(id) AS id FROM ticks')).rows[0].id;
  try {
    const wanted = await highest(from);
    await until(async () => (await highest(to)) === wanted, { contender, interval: 50, what: 'drained' });
  } finally {
    await Promise.all([from.end(), to.end()]);
  }
}

async function observe({ source, target, rate, first, last }) {
  const reader = fork(new URL('latency-reader.mjs', import.meta.url), [target, String(last)]);
  await once(reader, 'message');
  const writer = fork(new URL('latency-writer.mjs', import.meta.url), [source, String(rate), String(first), String(last)]);
  return Promise.all([writer, reader].map(answer));
}

async function answer(child) {
  const exited = once(child, 'exit').then(([code]) => {
    throw new Error(`a process that measures ended with ${code}`);
  });
  exited.catch(() => {});
  const [message] = await Promise.race([once(child, 'message'), exited]);
  return message;
}
