// A process of latency.mjs: commits the ids first to last, `rate` a second, and sends when each commit had returned.
import { connect } from './servers.mjs';
import { monotonicMs, waitMs } from './wait.mjs';

const [url, rate, first, last] = process.argv.slice(2).map((word, i) => (i === 0 ? word : Number(word)));
const client = await connect(url);
const insert = (id) => client.query({ name: 'insert', text: 'INSERT INTO ticks VALUES ($1, $2)', values: [id, `tick ${id}`] });

const committed = [];
const begin = monotonicMs();
for (let id = first; id <= last; id++) {
  waitMs(begin + ((id - first) * 1000) / rate - monotonicMs());
  await insert(id);
  committed.push(monotonicMs());
}
await client.end();
process.send({ times: committed, cpu: process.cpuUsage() }, () => process.disconnect());
