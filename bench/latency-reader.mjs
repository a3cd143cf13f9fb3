// A process of latency.mjs: asks for the highest id until it is `last`, and sends when each new one was first seen.
import { connect } from './servers.mjs';
import { monotonicMs, waitMs } from './wait.mjs';

/** Between two looks, so that looking leaves the processor to those who are measured. */
const REST_MS = 0.3;

const [url, last] = process.argv.slice(2);
const client = await connect(url);
const look = async () => {
  const { rows } = await client.query({ name: 'look', text: 'SELECT max(id)::int AS id FROM ticks' });
  return { id: rows[0].id ?? 0, at: monotonicMs() };
};

let latest = await look();
process.send('ready');
const seen = [];
while (latest.id < Number(last)) {
  const now = await look();
  if (now.id > latest.id) seen.push((latest = now));
  waitMs(REST_MS);
}
await client.end();
process.send({ times: seen, cpu: process.cpuUsage() }, () => process.disconnect());
