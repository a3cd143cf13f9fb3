-- Sales, without a primary key: rows can only be told apart by all of their columns.
CREATE TABLE tb_trx_src (
  id serial NOT NULL,
  creation_date date,
  sale_value bigint NOT NULL
);

INSERT INTO tb_trx_src (creation_date, sale_value) VALUES
  ('2026-01-05', 1250),
  ('2026-01-05', 99),
  ('2026-01-06', 4300),
  ('2026-01-08', 0),
  ('2026-01-09', 780),
  (NULL, 15),
  ('2026-01-12', 9223372036854775807),
  ('2026-01-12', -120),
  ('2026-01-13', 2400),
  ('2026-01-14', 610);
