import { series } from './orders.mjs';

/** Drains that look like what applications write: many tables at once, wide rows, keys and indexes of several kinds. */

const TABLES = 500;
const ROWS = 200;

const table = (n) => `
  CREATE TABLE part_${n} (id int PRIMARY KEY, name text NOT NULL, amount numeric(12, 2), at timestamptz NOT NULL);
  INSERT INTO part_${n} SELECT id, 'row ' || id, id * 1.5, '2026-01-01' FROM generate_series(1, ${ROWS}) id`;

const body = (count) => `DO $$
  DECLARE t text;
  BEGIN
    FOR i IN 1..${count} LOOP
      t := 'part_' || 1 + i * 7 % ${TABLES};
      CASE i % 3
        WHEN 0 THEN EXECUTE format('INSERT INTO %I VALUES ($1, $2, $1, now())', t) USING ${ROWS} + i, 'new ' || i;
        WHEN 1 THEN EXECUTE format('UPDATE %I SET amount = amount + 1, at = now() WHERE id = $1', t) USING 1 + i % ${ROWS};
        ELSE EXECUTE format('DELETE FROM %I WHERE id = (SELECT max(id) FROM %1$I)', t);
      END CASE;
      COMMIT;
    END LOOP;
  END $$`;

export const applications = [
  {
    name: 'many-tables',
    title: `drain 60 k one-row transactions over ${TABLES} tables`,
    reach: 1,
    setup: () => Array.from({ length: TABLES }, (_, n) => table(n + 1)).join(';'),
    backlog: ({ sql, scaled }) => sql('SET synchronous_commit = off', body(scaled(60_000))),
  },
  {
    name: 'shop',
    title: 'drain 20 k orders of a shop, with lines, stock and customers',
    reach: 1.3,
    setup: (scaled) => `
      CREATE TABLE customers (id uuid PRIMARY KEY, email text NOT NULL UNIQUE, profile jsonb NOT NULL, orders int NOT NULL, seen timestamptz);
      CREATE TABLE stock (sku text PRIMARY KEY, left_over int NOT NULL CHECK (left_over > -1000000), price numeric(10, 2) NOT NULL, attributes jsonb);
      CREATE TABLE sales (id bigint PRIMARY KEY, customer uuid NOT NULL REFERENCES customers, state text NOT NULL, total numeric(12, 2), at timestamptz NOT NULL, address text);
      CREATE INDEX ON sales (customer); CREATE INDEX ON sales (at);
      CREATE TABLE sale_lines (sale bigint REFERENCES sales, line int, sku text NOT NULL REFERENCES stock, amount int NOT NULL, price numeric(10, 2), PRIMARY KEY (sale, line));
      CREATE INDEX ON sale_lines (sku);
      INSERT INTO customers SELECT md5(id::text)::uuid, 'c' || id || '@example.org', jsonb_build_object('name', 'Customer ' || id, 'tags', jsonb_build_array(id, id % 7)), 0, NULL FROM ${series(scaled(20_000))} id;
      INSERT INTO stock SELECT 'sku-' || id, 1000, id % 100 + 0.99, jsonb_build_object('colour', id % 9, 'text', repeat(md5(id::text), 5)) FROM ${series(5_000)} id`,
    backlog: ({ sql, scaled }) =>
      sql(
        'SET synchronous_commit = off',
        `DO $$
          DECLARE c uuid;
          BEGIN
            FOR i IN 1..${scaled(20_000)} LOOP
              c := md5((1 + i * 13 % ${scaled(20_000)})::text)::uuid;
              INSERT INTO sales VALUES (i, c, 'new', i % 1000, now(), 'Street ' || i || ', City');
              INSERT INTO sale_lines SELECT i, line, 'sku-' || 1 + (i * 31 + line * 17) % 5000, line, 9.99 FROM generate_series(1, 1 + i % 4) line;
              UPDATE stock SET left_over = left_over - 1 WHERE sku IN (SELECT sku FROM sale_lines WHERE sale = i);
              UPDATE customers SET orders = orders + 1, seen = now() WHERE id = c;
              COMMIT;
              UPDATE sales SET state = 'paid' WHERE id = i - 5;
              COMMIT;
            END LOOP;
          END $$`,
      ),
  },
  {
    name: 'ranks',
    title: 'drain 10 k exchanges of unique values, 30 rows of a log beside each',
    reach: 1,
    setup: () => `
      CREATE TABLE ranks (id int PRIMARY KEY, place int UNIQUE, what text); INSERT INTO ranks SELECT i, i, 'x' FROM generate_series(1, 50000) i;
      CREATE TABLE rank_log (id bigint PRIMARY KEY, what text, at timestamptz)`,
    backlog: ({ sql, scaled }) =>
      sql(
        'SET synchronous_commit = off',
        `DO $$
          BEGIN
            FOR i IN 1..${scaled(10_000)} LOOP
              UPDATE ranks SET place = NULL WHERE id = 2 * i;
              UPDATE ranks SET place = 2 * i WHERE id = 2 * i - 1;
              UPDATE ranks SET place = 2 * i - 1 WHERE id = 2 * i;
              INSERT INTO rank_log SELECT i * 100 + n, 'looked at ' || n, now() FROM generate_series(1, 30) n;
              COMMIT;
            END LOOP;
          END $$`,
      ),
  },
  {
    name: 'keyless-wide',
    title: 'drain 2 k updates, keyless table of 50 k wide rows',
    reach: 10,
    // 4 kB a row, of text, JSON and bytes; every twentieth has 20 kB beside it. Not of type json: native replication finds no row with it.
    setup: (scaled) => `
      CREATE TABLE notes (author int, at timestamptz, price numeric, body text, doc jsonb, remark text, data bytea);
      ALTER TABLE notes REPLICA IDENTITY FULL;
      CREATE FUNCTION filler(seed text, n int) RETURNS text LANGUAGE sql IMMUTABLE
        AS $$ SELECT string_agg(md5(seed || i), '') FROM generate_series(1, n) i $$;
      INSERT INTO notes
        SELECT i % 1000, timestamptz '2026-01-01' + i * interval '1 min', i / 4.0, filler('b' || i, 30),
               jsonb_build_object('id', i, 'text', filler('d' || i, 30)), filler('r' || i, 30),
               decode(filler('a' || i, CASE WHEN i % 20 = 0 THEN 1280 ELSE 60 END), 'hex')
          FROM generate_series(1, ${scaled(50_000)}) i`,
    backlog: ({ sql, scaled }) => {
      // Far apart: a pass over a large table begins where the one before has ended, and native replication would find neighbours at once.
      const at = `timestamptz '2026-01-01' + (1 + i * 17389 % ${scaled(50_000)}) * interval '1 min'`;
      const body = `DO $$ BEGIN FOR i IN 1..${scaled(2_000)} LOOP UPDATE notes SET price = price + 1 WHERE at = ${at}; COMMIT; END LOOP; END $$`;
      return sql('CREATE INDEX ON notes (at)', 'SET synchronous_commit = off', body, 'DROP INDEX notes_at_idx');
    },
  },
];
