-- What a comparison of both sides of a table found last, so that a restart does not forget rows that differ. What was found before
-- the table was copied again (table_state.copy_finished_at) says nothing any more.
CREATE TABLE pgfollow.validation (
  pipeline text NOT NULL REFERENCES pgfollow.pipeline ON DELETE CASCADE,
  source_schema text NOT NULL,
  source_table text NOT NULL,
  state text NOT NULL CHECK (state IN ('equal', 'different', 'unsettled')),
  started_at timestamptz,
  finished_at timestamptz NOT NULL,
  -- When both sides were found equal last.
  equal_at timestamptz,
  rows bigint NOT NULL,
  missing bigint NOT NULL,
  extra bigint NOT NULL,
  different bigint NOT NULL,
  unsettled bigint NOT NULL,
  complete boolean NOT NULL,
  -- Some of the rows that differ: how, and their keys.
  example_kinds text[] NOT NULL,
  example_keys text[] NOT NULL,
  columns_not_compared text[] NOT NULL,
  stored_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
  PRIMARY KEY (pipeline, source_schema, source_table)
);
