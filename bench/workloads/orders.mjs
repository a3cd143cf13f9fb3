/** The table of most workloads: some 130 bytes a row on the wire. */
export const ORDERS = `CREATE TABLE orders (
  id bigint PRIMARY KEY, customer int NOT NULL, amount numeric(12,2) NOT NULL, note text, created timestamptz NOT NULL)`;

/** Rows of orders with the ids that the expression `ids` makes; the same wherever it is run. */
export const orders = (ids) =>
  `INSERT INTO orders SELECT id, id % 9973, (id % 100000) / 100.0, md5(id::text), timestamptz '2026-01-01' + id * interval '1 s' FROM ${ids} id`;

export const series = (rows) => `generate_series(1, ${rows})`;
