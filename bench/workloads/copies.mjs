import { ORDERS, orders, series } from './orders.mjs';

/**
 * A copy: `setup` makes the tables on both sides, `rows` fills them on the source. `reach` as for drains. `created`: pgfollow creates
 * the tables itself, as it does for a user, and so builds their keys and indexes after the rows; native replication cannot.
 */

const SMALL_TABLES = 200;

const EMPTY_TABLES = 5_000;

const PARTITIONS = 8;

const smallTables = (statement) => tables(SMALL_TABLES, (i) => statement(`small_${i}`));
const tables = (count, statement) => Array.from({ length: count }, (_, i) => statement(i)).join('; ');

export const copies = [
  {
    name: 'copy-big',
    title: 'copy one 2 M-row table with primary key',
    reach: 1.5,
    created: true,
    setup: () => ORDERS,
    rows: (scaled) => orders(series(scaled(2_000_000))),
  },
  {
    name: 'copy-parts',
    title: `copy 2 M rows in ${PARTITIONS} partitions`,
    reach: 1.5,
    created: true,
    setup: () =>
      `${ORDERS} PARTITION BY HASH (id); ` +
      tables(
        PARTITIONS,
        (i) => `CREATE TABLE orders_${i} PARTITION OF orders FOR VALUES WITH (MODULUS ${PARTITIONS}, REMAINDER ${i})`,
      ),
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
    name: 'copy-many',
    title: `copy ${EMPTY_TABLES} empty tables`,
    reach: 1.5,
    setup: (scaled) => tables(scaled(EMPTY_TABLES), (i) => `CREATE TABLE empty_${i} (id int PRIMARY KEY, name text)`),
    rows: () => '',
  },
  {
    name: 'copy-indexed',
    title: 'copy 1 M rows with 3 secondary indexes',
    reach: 2,
    created: true,
    setup: () => `${ORDERS};
      CREATE INDEX orders_customer ON orders (customer);
      CREATE INDEX orders_note ON orders (note);
      CREATE INDEX orders_created_amount ON orders (created, amount)`,
    rows: (scaled) => orders(series(scaled(1_000_000))),
  },
];
