import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from 'pg';

/** Rows kept a table: what is older is deleted in the transaction that adds the next one. */
const KEPT_SALES = 500;
const KEPT_ORDERS = 1_000;

/** Pause between two transactions, ms: three to five a second. */
const PAUSE = { least: 200, most: 320 };

/** A row that is there, without a sort of the whole table: the first at or after a random id. */
const someId = (table: string) =>
  `(SELECT id FROM ${table} WHERE id >= (SELECT min(id) + floor(random() * (max(id) - min(id) + 1)) FROM ${table}) ORDER BY id LIMIT 1)`;

/** The shop's life. Each entry is one transaction (a simple query is); the weight says how often it happens. */
export const TRANSACTIONS: readonly { weight: number; sql: string }[] = [
  {
    // A sale, without a key.
    weight: 30,
    sql: `INSERT INTO tb_trx_src (creation_date, sale_value) VALUES (current_date, floor(random() * 10000));
          DELETE FROM tb_trx_src WHERE id <= (SELECT max(id) - ${KEPT_SALES} FROM tb_trx_src)`,
  },
  { weight: 8, sql: `UPDATE tb_trx_src SET sale_value = sale_value + 1 WHERE id = ${someId('tb_trx_src')}` },
  { weight: 4, sql: `DELETE FROM tb_trx_src WHERE id = ${someId('tb_trx_src')}` },
  {
    // An order with one to four items.
    weight: 18,
    sql: `WITH placed AS (
            INSERT INTO shop.orders (customer_id, shipping)
            SELECT ${someId('shop.customers')}, jsonb_build_object('city', 'Brno', 'express', random() < 0.3) RETURNING id
          ), items AS (
            INSERT INTO shop.order_items (order_id, line, sku, quantity, price)
            SELECT id, line, 'SKU-' || lpad(floor(random() * 100)::text, 4, '0'), 1 + floor(random() * 5), 0.99 + floor(random() * 200)
              FROM placed, generate_series(1, 1 + floor(random() * 4)::int) AS line
            RETURNING order_id
          )
          SELECT count(*) FROM items;
          UPDATE shop.orders AS o SET total = (SELECT sum(quantity * price) FROM shop.order_items WHERE order_id = o.id)
           WHERE id = (SELECT max(id) FROM shop.orders);
          DELETE FROM shop.order_items WHERE order_id <= (SELECT max(id) - ${KEPT_ORDERS} FROM shop.orders);
          DELETE FROM shop.orders WHERE id <= (SELECT max(id) - ${KEPT_ORDERS} FROM shop.orders)`,
  },
  {
    // An order that is under way goes one step on, or is cancelled.
    weight: 25,
    sql: `UPDATE shop.orders
             SET status = CASE status
                   WHEN 'placed' THEN CASE WHEN random() < 0.2 THEN 'cancelled' ELSE 'paid' END
                   WHEN 'paid' THEN 'shipped'
                   ELSE 'delivered'
                 END::shop.order_status
           WHERE id = (SELECT id FROM shop.orders WHERE status IN ('placed', 'paid', 'shipped') ORDER BY random() LIMIT 1)`,
  },
  {
    // The long notes stay as they are.
    weight: 10,
    sql: `UPDATE shop.customers SET profile = jsonb_set(profile, '{visits}', to_jsonb(coalesce((profile->>'visits')::int, 0) + 1))
           WHERE id = ${someId('shop.customers')}`,
  },
  {
    weight: 2,
    sql: `UPDATE shop.customers
             SET notes = (SELECT string_agg(md5(random()::text), '') FROM generate_series(1, 300))
           WHERE id = ${someId('shop.customers')}`,
  },
  {
    // Cancelled orders go, items first.
    weight: 3,
    sql: `DELETE FROM shop.order_items WHERE order_id IN (SELECT id FROM shop.orders WHERE status = 'cancelled');
          DELETE FROM shop.orders WHERE status = 'cancelled'`,
  },
];

const TOTAL_WEIGHT = TRANSACTIONS.reduce((sum, { weight }) => sum + weight, 0);

/** A transaction by weight; `point` is from 0 up to, not including, 1. */
function pickTransaction(point: number): string {
  let rest = point * TOTAL_WEIGHT;
  for (const { weight, sql } of TRANSACTIONS) {
    rest -= weight;
    if (rest < 0) return sql;
  }
  return TRANSACTIONS[0]?.sql ?? '';
}

/**
 * Keeps a little write traffic going on pg_x until it is stopped: inserts, updates and deletes, in
 * bounded tables. When the server goes away it comes back with it.
 */
export function startTraffic(url: string): { stop(): Promise<void> } {
  const stopped = new AbortController();
  const ended = keepGoing(url, stopped.signal);
  return {
    async stop() {
      stopped.abort();
      await ended;
    },
  };
}

async function keepGoing(url: string, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    const client = new Client({
      connectionString: url,
      application_name: 'pgfollow-demo-traffic',
      connectionTimeoutMillis: 5_000,
      query_timeout: 10_000,
    });
    client.on('error', () => {});
    try {
      await client.connect();
      while (!signal.aborted) {
        await client.query(pickTransaction(Math.random()));
        await pause(PAUSE.least + Math.random() * (PAUSE.most - PAUSE.least), signal);
      }
    } catch {
      // Whatever it was (server down, somebody changed a table): a demo tries again.
      await pause(1_000, signal);
    } finally {
      // A server that hangs does not answer a goodbye either.
      await Promise.race([client.end().catch(() => {}), sleep(1_000, undefined, { ref: false })]);
    }
  }
}

/** Sleeps, or returns early when stopped. */
async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await sleep(ms, undefined, { signal }).catch(() => {});
}
