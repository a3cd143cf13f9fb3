import { compareDatabases } from './compare.mjs';
import { connect, sql } from './servers.mjs';
import { enroll, settle, streamingSince, until, withDatabases } from './round.mjs';
import { readClocks, spentBetween } from './usage.mjs';

const POLL_MS = 5;

/**
 * One round: both contenders get in step and stop, the backlog comes into being once, and each drains it alone. The
 * clock stops when the last row shows on the target. It starts (`ms`, which counts) when native replication is enabled
 * and when pgfollow makes its first connection, that is with the program loaded; `wholeMs` is with loading it, and
 * `streamMs` from where the connection is made that brings the changes.
 */
export async function drainRound(bench, workload, order) {
  const { scaled } = bench;
  return withDatabases(bench, { setup: workload.setup(scaled), copy: false, order }, async ({ source, contenders }) => {
    await enroll(contenders);
    await workload.backlog({ source, scaled, sql: (...texts) => sql(source, ...texts) });
    await sql(source, 'INSERT INTO bench_marker VALUES (1)');
    const results = {};
    for (const { contender, target } of contenders) {
      await settle(bench);
      results[contender.name] = await drainOnce(bench, contender, { source, target });
      await contender.stop();
      await compareDatabases(source, target);
    }
    return results;
  });
}

async function drainOnce(bench, contender, { source, target }) {
  const client = await connect(target);
  const shown = { name: 'shown', text: 'SELECT FROM bench_marker' };
  try {
    return await timed(bench, contender, {
      source,
      what: 'drained',
      interval: POLL_MS,
      look: async () => (await client.query(shown)).rowCount > 0,
    });
  } finally {
    await client.end();
  }
}

/** Starts a contender and takes the time until `look` is true, and what it cost. */
export async function timed({ servers }, contender, { source, what, interval, look }) {
  const before = readClocks(servers, contender);
  const startedAt = await contender.start();
  const loaded = contender.loaded?.();
  const doneAt = await until(look, { contender, interval, what });
  const spent = spentBetween(before, readClocks(servers, contender));
  await loaded;
  const { connectedAt = startedAt, ...usage } = await contender.usage();
  return {
    ms: doneAt - connectedAt,
    wholeMs: doneAt - startedAt,
    streamMs: doneAt - (await streamingSince(source, contender.slot)),
    ...spent,
    ...usage,
    allCpuMs: spent.sourceCpuMs + spent.targetCpuMs + (usage.cpuMs ?? 0),
  };
}
