import { compareDatabases } from './compare.mjs';
import { timed } from './drain.mjs';
import { settle, withDatabases } from './round.mjs';
import { connect } from './servers.mjs';

/** Coarse, because asking pgfollow how far it is costs it a millisecond of its event loop. */
const POLL_MS = 50;

/**
 * One round: each contender takes up the source's tables from nothing. The clock stops when all of them are copied and
 * follow the source.
 */
export async function copyRound(bench, workload, order) {
  const { scaled } = bench;
  const databases = { setup: workload.setup(scaled), rows: workload.rows(scaled), copy: true, created: workload.created, order };
  return withDatabases(bench, databases, async ({ source, contenders }) => {
    const results = {};
    for (const { contender, target } of contenders) {
      await settle(bench);
      results[contender.name] = await copyOnce(bench, contender, { source, target });
      await contender.stop();
      await compareDatabases(source, target);
    }
    return results;
  });
}

async function copyOnce(bench, contender, { source, target }) {
  const client = await connect(target);
  try {
    return await timed(bench, contender, { source, what: 'copied', interval: POLL_MS, look: () => contender.inStep(client) });
  } finally {
    await client.end();
  }
}
