import { ORDERS, orders, series } from './orders.mjs';

/** A copy: `setup` makes the tables on both sides, `rows` fills them on the source. `reach` as for drains. */

const SMALL_TABLES = 200;

const smallTables = (statement) => Array.from({ length: SMALL_TABLES }, (_, i) => statement(`small_${i}`)).join('; ');

export const copies = [
  {
    name: 'copy-big',
    title: 'copy one 2 M-row table with primary key',
    reach: 1.5,
    setup: () => ORDERS,
    rows: (scaled) => orders(series(scaled(2_000_000))),
  },
  {
    name: 'copy-small',
    title: `copy ${SMALL_TABLES} small tables`,
    reach: 1.5,
    setup: () => smallTables((name) => `CREATE TABLE ${name} (id int PRIMARY KEY, name text NOT NULL, at timestamptz NOT NULL)`),
    rows: (scaled) =>
      smallTables((name) => `INSERT INTO ${name} SELECT i, md5(i::text), '2026-01-01' FROM ${series(scaled(1_000))} i`),
  },
  {
    name: 'copy-indexed',
    title: 'copy 1 M rows with 3 secondary indexes',
    reach: 2,
    setup: () => `${ORDERS};
      CREATE INDEX orders_customer ON orders (customer);
      CREATE INDEX orders_note ON orders (note);
      CREATE INDEX orders_created_amount ON orders (created, amount)`,
    rows: (scaled) => orders(series(scaled(1_000_000))),
  },
];
