import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { settle, untilInStep, withDatabases } from './round.mjs';
import { sql } from './servers.mjs';
import { readClocks, spentBetween } from './usage.mjs';

/** Until what follows a start is over. */
const SETTLE_MS = 5_000;
const PREFIX = 'bench-idle>';

/** One round: each contender follows a database where nothing happens; what that costs is written down. */
export async function idleRound(bench, workload, order) {
  const { servers } = bench;
  const setup = 'CREATE TABLE quiet (id int PRIMARY KEY)';
  return withDatabases(bench, { setup, copy: false, order }, async ({ contenders }) => {
    const results = {};
    for (const { contender, target } of contenders) {
      await settle(bench);
      await contender.start();
      await contender.loaded?.();
      await untilInStep(contender, target);
      await sleep(SETTLE_MS);
      results[contender.name] = await watch(servers, contender, Math.max(10_000, bench.scaled(workload.seconds) * 1000));
      await contender.stop();
    }
    return results;
  });
}

async function watch(servers, contender, windowMs) {
  const both = [servers.source, servers.target];
  for (const server of both) await logStatements(server, true);
  // A backend takes a new setting up before its next statement; those of the logging itself are not counted.
  await sleep(500);
  const sizes = await Promise.all(both.map(({ logFile }) => stat(logFile).then(({ size }) => size)));
  const before = readClocks(servers, contender);
  await sleep(windowMs);
  const after = readClocks(servers, contender);
  const { sourceCpuMs, targetCpuMs, othersCpuShare } = spentBetween(before, after);
  const statements = await Promise.all(both.map(({ logFile }, i) => countStatements(logFile, sizes[i])));
  for (const server of both) await logStatements(server, false);
  const { peakBytes } = await contender.usage();
  return {
    sourceCpuShare: sourceCpuMs / windowMs,
    targetCpuShare: targetCpuMs / windowMs,
    cpuShare: (after.own - before.own) / windowMs,
    sourceStatements: statements[0] / (windowMs / 1000),
    targetStatements: statements[1] / (windowMs / 1000),
    othersCpuShare,
    ...(peakBytes === undefined ? {} : { peakBytes }),
  };
}

async function logStatements(server, on) {
  await sql(
    server.url(),
    on ? `ALTER SYSTEM SET log_line_prefix = '${PREFIX}%a>'` : 'ALTER SYSTEM RESET log_line_prefix',
    on ? `ALTER SYSTEM SET log_statement = 'all'` : 'ALTER SYSTEM RESET log_statement',
    'SELECT pg_reload_conf()',
  );
}

/** How many statements others than the bench have had executed, of those logged behind byte `start`. */
async function countStatements(logFile, start) {
  let count = 0;
  for await (const line of createInterface({ input: createReadStream(logFile, { start }) })) {
    if (/^bench-idle>(?!bench>)[^>]*>LOG: {2}(statement|execute)/.test(line)) count++;
  }
  return count;
}
