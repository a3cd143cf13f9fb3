-- Target tables that pgfollow has made, so that what is missing of them after a crash is known. Tables of the user are
-- never in here.
CREATE TABLE pgfollow.created_table (
  pipeline text NOT NULL REFERENCES pgfollow.pipeline ON DELETE CASCADE,
  target_schema text NOT NULL,
  target_table text NOT NULL,
  created_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
  -- Keys, indexes and constraints of its own are there.
  built_at timestamptz,
  -- And the foreign keys too.
  linked_at timestamptz,
  PRIMARY KEY (pipeline, target_schema, target_table)
);

-- What has been made of such a table after its rows, each written in the transaction that made it.
CREATE TABLE pgfollow.created_part (
  pipeline text NOT NULL,
  target_schema text NOT NULL,
  target_table text NOT NULL,
  -- Kind and name on the source, as in 'index shop.orders_at'.
  part text NOT NULL,
  -- Why it was left out; null where it is there.
  refused text,
  PRIMARY KEY (pipeline, target_schema, target_table, part),
  FOREIGN KEY (pipeline, target_schema, target_table) REFERENCES pgfollow.created_table ON DELETE CASCADE
);
