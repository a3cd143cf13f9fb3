import { test } from 'vitest';
import { compareTables } from '../testing/compare.ts';
import { sql, testDatabases } from '../testing/databases.ts';
import { startPipeline } from '../testing/run-pipeline.ts';

const DIGITS = '1234567890'.repeat(10);

/** Values that a JavaScript number, a Date or JSON.parse would change, by type. */
const VALUES: Readonly<Record<string, readonly string[]>> = {
  numeric: [`'${DIGITS}'`, `'-0.${DIGITS}'`, `'1.000'`, `'NaN'`, `'1e-300'`, `'12345678901234567890.10'`],
  int8: [`'9223372036854775807'`, `'-9223372036854775808'`, `'9007199254740993'`],
  float8: [`'5e-324'`, `'1.7976931348623157e308'`, `'-0'`, `'NaN'`, `'Infinity'`, `'0.1'`, `'1.0000000000000002'`],
  float4: [`'1e-45'`, `'3.4028235e38'`, `'0.1'`, `'-0'`],
  timestamptz: [
    `'2026-03-29 01:59:59.999999+00'`,
    `'infinity'`,
    `'-infinity'`,
    `'4713-01-01 00:00:00.000001+00 BC'`,
    `'294276-12-31 23:59:59.999999+00'`,
  ],
  timestamp: [`'2026-03-29 02:30:00.000001'`, `'0001-01-01 00:00:00.123456 BC'`, `'infinity'`],
  date: [`'infinity'`, `'4713-01-01 BC'`, `'5874897-12-31'`],
  time: [`'24:00:00'`, `'12:34:56.789012'`],
  timetz: [`'12:34:56.789012+14:59:59'`],
  interval: [`'178000000 years'`, `'-1 mons +2 days -03:04:05.000001'`],
  jsonb: [`'{"n": ${DIGITS}.${DIGITS}, "e": 1e400, "z": 1.0}'`, `'"\\u20ac"'`, `'null'`],
  json: [`'{"a":1,  "a":2.00, "b":9007199254740993}'`],
  money: [`'92233720368547758.07'`],
  bytea: [`'\\x00ff5c00'`],
  text: [`E'\\u0001 \\\\N \\t é 𝄞'`, `''`],
  oid: [`'4294967295'`],
  xid8: [`'18446744073709551615'`],
  pg_lsn: [`'FFFFFFFF/FFFFFFFF'`],
  varbit: [`B'1010101010101'`],
  inet: [`'2001:db8::1/64'`],
  int8range: [`'[9007199254740993,9223372036854775807)'`],
  'numeric[]': [`'{${DIGITS},NULL,0.10}'`],
  'timestamptz[]': [`'{"2026-03-29 01:59:59.999999+00",NULL,infinity}'`],
  point: [`'(1.0000000000000002,-0)'`],
};

const COLUMNS = Object.keys(VALUES).map((type, i) => ({ name: `c${i}`, type }));
const MOST = Math.max(...Object.values(VALUES).map((values) => values.length));
const TABLE = `CREATE TABLE v (id int PRIMARY KEY, ${COLUMNS.map(({ name, type }) => `${name} ${type}`).join(', ')})`;

function insert(from: number): string {
  const row = (n: number): string =>
    `(${from + n}, ${Object.values(VALUES)
      .map((values) => values[n % values.length])
      .join(', ')})`;
  return `INSERT INTO v VALUES ${Array.from({ length: MOST }, (_, n) => row(n)).join(', ')}`;
}

test.each(['auto', 'never'])('values arrive as the source wrote them (binary: %s)', async (binary) => {
  await using db = await testDatabases();
  for (const side of [db.source, db.target]) await sql(side, TABLE);
  await sql(db.source, insert(0));
  await using running = startPipeline(db, { apply: { binary } });
  await running.caughtUp();
  await compareTables(db.source, db.target, 'public.v');
  await sql(db.source, insert(100));
  // As an update too, of the rows that were copied, by those that were streamed.
  const sets = COLUMNS.map(({ name }) => `${name} = w.${name}`).join(', ');
  await sql(db.source, `UPDATE v SET ${sets} FROM v w WHERE v.id < 100 AND w.id = 100 + (v.id + 1) % ${MOST}`);
  await running.caughtUp();
  await compareTables(db.source, db.target, 'public.v');
});

test.each(['auto', 'never'])('rows without a key are found by such values too (binary: %s)', async (binary) => {
  await using db = await testDatabases();
  for (const side of [db.source, db.target]) await sql(side, TABLE.replace(' PRIMARY KEY', ''));
  for (let twice = 0; twice < 2; twice++) await sql(db.source, insert(0));
  await using running = startPipeline(db, { apply: { binary } });
  await running.caughtUp();
  await sql(db.source, `DELETE FROM v WHERE ctid IN (SELECT min(ctid) FROM v GROUP BY id)`);
  await sql(db.source, `UPDATE v SET id = id + 1000 WHERE id % 2 = 0`);
  await running.caughtUp();
  await compareTables(db.source, db.target, 'public.v');
});
