import { ORDERS, orders, series } from './orders.mjs';
import { pgbench, pgbenchTables } from './pgbench.mjs';

/**
 * A drain: `setup` is run on the source and on both targets; `backlog` on the source while
 * nobody follows, with `sql(...texts)` or over connections of its own. `scaled(n)` is
 * n times --scale. `reach`: how many times faster than native it is to be.
 */

/** What runs `statement`, which may use i, in `count` transactions of their own. */
const transactions = (count, statement) => [
  'SET synchronous_commit = off',
  `DO $$ BEGIN FOR i IN 1..${count} LOOP ${statement}; COMMIT; END LOOP; END $$`,
];

export const drains = [
  {
    name: 'inserts',
    title: 'drain 1 M inserts, 100 a transaction',
    reach: 1.4,
    setup: () => ORDERS,
    backlog: ({ sql, scaled }) => sql(...transactions(scaled(10_000), orders('generate_series(i * 100 - 99, i * 100)'))),
  },
  {
    name: 'tiny-inserts',
    title: 'drain 100 k one-row transactions',
    reach: 1.8,
    setup: () => ORDERS,
    backlog: ({ sql, scaled }) => sql(...transactions(scaled(100_000), orders('generate_series(i, i)'))),
  },
  {
    name: 'random-updates',
    title: 'drain 100 k random one-row updates',
    reach: 1.5,
    setup: (scaled) => `${ORDERS}; ${orders(series(scaled(1_000_000)))}`,
    backlog: ({ sql, scaled }) => {
      const id = `1 + abs(hashint8(i)::bigint) % ${scaled(1_000_000)}`;
      return sql(...transactions(scaled(100_000), `UPDATE orders SET amount = amount + 1, note = md5(note) WHERE id = ${id}`));
    },
  },
  {
    name: 'big-update',
    title: 'drain one 500 k-row UPDATE',
    reach: 1.5,
    setup: (scaled) => `${ORDERS}; ${orders(series(scaled(500_000)))}`,
    backlog: ({ sql }) => sql('UPDATE orders SET amount = amount + 1, note = md5(note)'),
  },
  {
    name: 'array-update',
    title: 'drain one 200 k-row UPDATE of rows with arrays',
    reach: 1,
    setup: (scaled) => `
      CREATE TABLE articles (id int PRIMARY KEY, revision int NOT NULL, tags text[], parts int[]);
      INSERT INTO articles SELECT id, 0, ARRAY['a' || id % 7, 'b'], ARRAY[id, NULL] FROM generate_series(1, ${scaled(200_000)}) id`,
    backlog: ({ sql }) => sql(`UPDATE articles SET revision = revision + 1, tags = tags || 'c'::text`),
  },
  {
    name: 'big-delete',
    title: 'drain one 500 k-row DELETE',
    reach: 1.5,
    setup: (scaled) => `${ORDERS}; ${orders(series(scaled(550_000)))}`,
    backlog: ({ sql, scaled }) => sql(`DELETE FROM orders WHERE id <= ${scaled(500_000)}`),
  },
  {
    name: 'pgbench',
    title: 'drain 50 k pgbench tpcb transactions',
    reach: 1.5,
    setup: (scaled) => pgbenchTables(Math.max(1, scaled(10))),
    backlog: ({ source, scaled }) => pgbench(source, scaled(50_000), Math.max(1, scaled(10))),
  },
  {
    name: 'toast',
    title: 'drain 10 k updates beside a 16 kB value',
    reach: 1.2,
    setup: (scaled) => `
      CREATE TABLE documents (id int PRIMARY KEY, revision int NOT NULL, body text NOT NULL);
      ALTER TABLE documents ALTER body SET STORAGE EXTERNAL;
      INSERT INTO documents SELECT id, 0, repeat(md5(id::text), 512) FROM generate_series(1, ${scaled(2_000)}) id`,
    backlog: ({ sql, scaled }) =>
      sql(...transactions(scaled(10_000), `UPDATE documents SET revision = i WHERE id = 1 + i * 7 % ${scaled(2_000)}`)),
  },
  {
    name: 'large-values',
    title: 'drain 2 k inserts and 2 k updates of values of 100 kB',
    reach: 1,
    // Values that nothing compresses, 20 of them in turns.
    setup: () => `
      CREATE TABLE bodies (n int PRIMARY KEY, body bytea NOT NULL);
      CREATE TABLE files (id int PRIMARY KEY, revision int NOT NULL, body bytea NOT NULL);
      ALTER TABLE bodies ALTER body SET STORAGE EXTERNAL;
      ALTER TABLE files ALTER body SET STORAGE EXTERNAL;
      INSERT INTO bodies SELECT n, string_agg(decode(md5(n || ' ' || i), 'hex'), '' ORDER BY i)
        FROM generate_series(0, 19) n, generate_series(1, 6400) i GROUP BY n`,
    backlog: ({ sql, scaled }) => {
      const ten = 'generate_series(i * 10 - 9, i * 10) id JOIN bodies ON n = id % 20';
      return sql(
        ...transactions(scaled(200), `INSERT INTO files SELECT id, 0, body FROM ${ten}`),
        ...transactions(
          scaled(200),
          `UPDATE files SET revision = 1, body = other.body FROM bodies AS other WHERE id BETWEEN i * 10 - 9 AND i * 10 AND n = (id + 7) % 20`,
        ),
      );
    },
  },
  {
    name: 'keyless-updates',
    title: 'drain 5 k updates, keyless table of 200 k rows',
    reach: 50,
    // Which rows are updated has no index to find them by on the target; the source has one, or it would scan as well.
    setup: (scaled) => `
      CREATE TABLE readings (sensor int, at timestamptz, value double precision, unit text);
      ALTER TABLE readings REPLICA IDENTITY FULL;
      INSERT INTO readings SELECT i % 1000, timestamptz '2026-01-01' + i * interval '1 min', i / 7.0, 'K'
        FROM generate_series(1, ${scaled(200_000)}) i`,
    backlog: ({ sql, scaled }) => {
      const at = `timestamptz '2026-01-01' + (1 + i * 37 % ${scaled(200_000)}) * interval '1 min'`;
      const updates = transactions(scaled(5_000), `UPDATE readings SET value = value + 1 WHERE at = ${at}`);
      return sql('CREATE INDEX ON readings (at)', ...updates, 'DROP INDEX readings_at_idx');
    },
  },
];
