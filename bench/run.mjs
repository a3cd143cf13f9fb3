#!/usr/bin/env node
import { writeFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { WORKLOADS } from './kinds.mjs';
import { machine, report } from './report.mjs';
import { describeSettings, startServers } from './servers.mjs';

const HELP = `Usage: npm run bench -- [OPTIONS]

Drains, copies and follows the same work with PostgreSQL's native logical replication and with pgfollow, in turns.

  --only NAME,…          these workloads alone (--list names them)
  --rounds N             how often each is measured; the median counts (default 3)
  --scale X              size of the work, 1 as in the table of the README (default 1)
  --pg 14|…|18           major version of both servers (default 18)
  --contenders NAME,…    native, pgfollow, pgcopydb (copies only, where it is installed, and with servers that
                         its pg_dump knows); default native,pgfollow
  --calm SHARE           waits, two minutes at most, until this machine has less than that share of
                         a core to do (0.2, say) before it measures; and repeats a round, three times
                         at most, in which others took more
  --json FILE            everything that was measured goes there as well, after each workload
  --dist DIR             the build to measure (default dist)
  --cpu-prof DIR         a CPU profile of every pgfollow process goes there
  --list                 names the workloads
`;

const MOST_REPEATS = 3;

const { values } = parseArgs({
  options: {
    only: { type: 'string' },
    rounds: { type: 'string', default: '3' },
    scale: { type: 'string', default: '1' },
    pg: { type: 'string', default: '18' },
    contenders: { type: 'string', default: 'native,pgfollow' },
    calm: { type: 'string', default: 'Infinity' },
    json: { type: 'string' },
    dist: { type: 'string', default: fileURLToPath(new URL('../dist', import.meta.url)) },
    'cpu-prof': { type: 'string' },
    list: { type: 'boolean' },
    help: { type: 'boolean', short: 'h' },
  },
});

if (values.help) process.stdout.write(HELP);
else if (values.list) process.stdout.write(WORKLOADS.map(({ name, title }) => `${name.padEnd(20)} ${title}\n`).join(''));
else process.exitCode = await main();

async function main() {
  const version = Number(values.pg);
  const rounds = positive('rounds');
  const scale = positive('scale');
  const workloads = chosen('only', values.only, WORKLOADS, ({ name }) => name);
  const contenders = chosen('contenders', values.contenders, ['native', 'pgfollow', 'pgcopydb'], (name) => name);
  const dist = resolve(values.dist);
  const { startServer } = await import(pathToFileURL(`${dist}/embedded/server.js`).href);
  const servers = await startServers(startServer, version);
  const say = (text) => process.stderr.write(`${text}\n`);
  const bench = {
    servers,
    version,
    dist,
    say,
    calm: positive('calm'),
    scaled: (n) => Math.max(1, Math.round(n * scale)),
    nodeOptions: values['cpu-prof'] ? ['--cpu-prof', `--cpu-prof-dir=${resolve(values['cpu-prof'])}`] : [],
  };
  try {
    const about = { ...(await machine(servers, dist)), scale, rounds, settings: describeSettings(version) };
    const rows = [];
    process.once('SIGINT', () => {
      // Servers and processes are cleaned up by their guards.
      process.stdout.write(`${report(about, rows)}\n`);
      process.exit(130);
    });
    for (const workload of workloads) {
      say(workload.title);
      const able = contenders.filter((name) => name !== 'pgcopydb' || workload.kind.copies);
      rows.push(await measure(bench, workload, { rounds, contenders: able }));
      if (values.json) await writeFile(values.json, `${JSON.stringify({ ...about, rows: rows.map(plain) }, null, 2)}\n`);
    }
    process.stdout.write(`${report(about, rows)}\n`);
    return rows.some(({ error }) => error) ? 1 : 0;
  } finally {
    await servers[Symbol.asyncDispose]();
  }
}

/** All rounds of one workload, the contenders taking turns at being first. One that fails does not end the others. */
async function measure(bench, workload, { rounds, contenders }) {
  const results = [];
  try {
    for (let n = 0; n < rounds; n++) {
      const order = n % 2 === 0 ? contenders : contenders.toReversed();
      results.push(await measureOnce(bench, workload, { number: n + 1, order }));
    }
    return { workload, results };
  } catch (error) {
    bench.say(`  failed: ${error.stack}`);
    return { workload, results, error: error.message };
  }
}

/** One round, and with --calm more of them, until each contender has had a calm one; its calmest counts. */
async function measureOnce(bench, { kind, ...workload }, { number, order }) {
  const calmest = {};
  for (let again = 0; ; again++) {
    const result = await kind.round(bench, workload, order);
    for (const contender of order) {
      const one = result[contender];
      bench.say(`  ${number}  ${contender.padEnd(8)} ${kind.line(one)}`);
      if (!(one.othersCpuShare >= calmest[contender]?.othersCpuShare)) calmest[contender] = one;
    }
    const calm = Object.values(calmest).every(({ othersCpuShare }) => othersCpuShare <= bench.calm);
    if (calm || bench.calm === Infinity || again === MOST_REPEATS) return calmest;
    bench.say('     too much else was going on: once more');
  }
}

function plain({ workload: { name, title, reach }, ...measured }) {
  return { name, title, reach, ...measured };
}

function positive(name) {
  const value = Number(values[name]);
  if (!(value > 0)) usage(`--${name} must be a number above 0, not ${values[name]}`);
  return value;
}

function chosen(option, text, all, nameOf) {
  if (text === undefined) return all;
  return text.split(',').map((name) => {
    const found = all.find((each) => nameOf(each) === name);
    if (found === undefined) usage(`--${option}: there is no ${name}, only ${all.map(nameOf).join(', ')}`);
    return found;
  });
}

function usage(message) {
  process.stderr.write(`${message}\n`);
  process.exit(2);
}
