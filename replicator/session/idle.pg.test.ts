import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { ownServers, sql, type TestDatabase } from '../testing/databases.ts';
import { eventually } from '../testing/eventually.ts';
import { spawnReplicator } from '../testing/replicator-process.ts';

const SECONDS = 15;

/** Every statement of every session is logged with its application_name. */
const LOGS_STATEMENTS = { log_statement: 'all', log_line_prefix: '%a| ', log_min_duration_statement: '-1' };

test(
  'an idle pipeline costs less than two statements a second on each side, and next to no processor time',
  { timeout: 90_000 },
  async () => {
    await using db = await ownServers({ source: { settings: LOGS_STATEMENTS }, target: { settings: LOGS_STATEMENTS } });
    for (const side of [db.source, db.target]) await sql(side, 'CREATE TABLE t (id int PRIMARY KEY)');
    await using replicator = await spawnReplicator(db);
    await replicator.streaming();
    // It looks at both databases once, a moment after its start.
    await eventually(async () => (await replicator.findings()).checkedAt !== null);
    // And more often at the slot in its first seconds.
    await sleep(5000);
    const before = { source: statements(db.source), target: statements(db.target), cpu: cpuSeconds(replicator.pid) };
    await sleep(SECONDS * 1000);
    const perSecond = (side: 'source' | 'target'): number => (statements(db[side]).length - before[side].length) / SECONDS;
    const cost = {
      source: perSecond('source'),
      target: perSecond('target'),
      cpu: (cpuSeconds(replicator.pid) - before.cpu) / SECONDS,
    };
    const said = [
      ...statements(db.source).slice(before.source.length),
      ...statements(db.target).slice(before.target.length),
    ].join('\n');
    expect(cost.source, said).toBeLessThan(2);
    expect(cost.target, said).toBeLessThan(2);
    // Of one core; the design wants 1 %, a machine that is busy with other tests measures more.
    expect(cost.cpu).toBeLessThan(0.05);
    console.log(
      `idle: ${cost.source.toFixed(2)} statements/s on the source, ${cost.target.toFixed(2)} on the target, ${(cost.cpu * 100).toFixed(2)} % CPU`,
    );
    await replicator.stop();
  },
);

function statements(database: TestDatabase): string[] {
  const log = readFileSync(database.server?.logFile ?? '', 'utf8').split('\n');
  return log.filter((line) => /^pgfollow .*\| LOG: {2}(statement|execute)/.test(line));
}

/** User and system time of a process so far. https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html */
function cpuSeconds(pid: number): number {
  const text = readFileSync(`/proc/${pid}/stat`, 'latin1');
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) / 100;
}
