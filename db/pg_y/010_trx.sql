-- Where tb_trx_src of the source goes: the same columns under another name, no key either.
CREATE TABLE tb_trx_dest (
  id serial NOT NULL,
  creation_date date,
  sale_value bigint NOT NULL
);
