import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { expect, test } from 'vitest';
import { sql, testDatabases } from '../testing/databases.ts';
import { startCaughtUp } from '../testing/run-pipeline.ts';

const TABLES = 600;
/** Of four columns. A third of that is what they take: 7.5 kB, and 10.6 kB where each has been applied to. */
const MOST_BYTES = { known: 22_000, changed: 32_000 };

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

/** What lives on the heap, garbage left aside. */
function heapUsed(): number {
  collect();
  collect();
  return process.memoryUsage().heapUsed;
}

const each = (statement: (name: string) => string): string =>
  Array.from({ length: TABLES }, (_, n) => statement(`t${n}`)).join('; ');

test('a followed table takes little memory, also once it has changed', { timeout: 120_000 }, async () => {
  await using db = await testDatabases();
  for (const side of [db.source, db.target])
    await sql(
      side,
      each(
        (name) => `CREATE TABLE ${name} (id int PRIMARY KEY, name text NOT NULL, at timestamptz DEFAULT now(), n numeric(10,2))`,
      ),
    );
  const before = heapUsed();
  await using running = await startCaughtUp(db, { snapshot: { copy: false } });
  const known = heapUsed();
  await sql(
    db.source,
    each((name) => `INSERT INTO ${name} VALUES (1, 'one')`),
  );
  await running.caughtUp();
  const changed = heapUsed();
  expect((known - before) / TABLES).toBeLessThan(MOST_BYTES.known);
  expect((changed - before) / TABLES).toBeLessThan(MOST_BYTES.changed);
  expect(running.pipeline.model.status().tables.streaming).toBe(TABLES);
});
