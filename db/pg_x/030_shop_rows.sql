-- 60 customers, 200 orders, 500 items; the same rows each time.
INSERT INTO shop.customers (email, name, profile, notes, created_at)
SELECT format('customer%s@example.com', n),
       format('%s %s',
              (ARRAY['Ada', 'Björn', 'Chloé', 'Đức', 'Eva', 'Fatima', '健', 'Łucja'])[1 + n % 8],
              (ARRAY['Novák', 'O''Hara', 'Şahin', 'Müller', 'Ibáñez'])[1 + n % 5]),
       jsonb_build_object('tier', (ARRAY['basic', 'silver', 'gold'])[1 + n % 3], 'visits', n * 7 % 40, 'newsletter', n % 2 = 0),
       -- 9,600 characters for every third customer: stored out of line.
       CASE n % 3
         WHEN 0 THEN (SELECT string_agg(md5(format('%s/%s', n, part)), '' ORDER BY part) FROM generate_series(1, 300) AS part)
         WHEN 1 THEN format('Called on day %s.', n)
       END,
       timestamptz '2026-01-01 08:00:00+00' + n * interval '7 hours 13 minutes 5.123456 seconds'
  FROM generate_series(1, 60) AS n;

INSERT INTO shop.orders (customer_id, status, shipping, placed_at)
SELECT 1 + n * 17 % 60,
       (enum_range(NULL::shop.order_status))[1 + n * 3 % 4],
       CASE WHEN n % 4 > 0 THEN jsonb_build_object('city', (ARRAY['Lyon', 'Brno', 'İzmir'])[1 + n % 3], 'express', n % 5 = 0) END,
       timestamptz '2026-02-01 00:00:00+00' + n * interval '97 minutes'
  FROM generate_series(1, 200) AS n;

INSERT INTO shop.order_items (order_id, line, sku, quantity, price)
SELECT o.id, line, format('SKU-%s', lpad((o.id * 31 % 97 + line)::text, 4, '0')), 1 + (o.id + line) % 5, (1 + o.id * 37 % 200) + 0.99
  FROM shop.orders AS o, generate_series(1, 1 + o.id % 4) AS line;

UPDATE shop.orders AS o
   SET total = (SELECT sum(quantity * price) FROM shop.order_items WHERE order_id = o.id);
