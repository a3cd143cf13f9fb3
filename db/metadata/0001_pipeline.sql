-- What pgfollow keeps on the target, so that rows and position are committed together.
CREATE SCHEMA IF NOT EXISTS pgfollow;

CREATE TABLE pgfollow.migration (
  name text PRIMARY KEY,
  applied_at timestamptz NOT NULL DEFAULT pg_catalog.now()
);

-- One row a pipeline: which source and slot its checkpoint belongs to, and what we made there.
CREATE TABLE pgfollow.pipeline (
  name text PRIMARY KEY,
  source_system_identifier text NOT NULL,
  source_database text NOT NULL,
  slot text NOT NULL,
  publication_created boolean NOT NULL DEFAULT false,
  slot_created boolean NOT NULL DEFAULT false,
  snapshot_finished boolean NOT NULL DEFAULT false,
  paused boolean NOT NULL DEFAULT false,
  created_at timestamptz NOT NULL DEFAULT pg_catalog.now()
);

-- The checkpoint: every source transaction that ends at or before applied_lsn is in this database.
-- Updated in the transaction that applies the rows; fillfactor leaves room for HOT updates.
CREATE TABLE pgfollow.checkpoint (
  pipeline text PRIMARY KEY REFERENCES pgfollow.pipeline ON DELETE CASCADE,
  applied_lsn pg_lsn NOT NULL,
  source_committed_at timestamptz,
  written_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp()
) WITH (fillfactor = 10);

CREATE TABLE pgfollow.table_state (
  pipeline text NOT NULL REFERENCES pgfollow.pipeline ON DELETE CASCADE,
  source_schema text NOT NULL,
  source_table text NOT NULL,
  target_schema text NOT NULL,
  target_table text NOT NULL,
  state text NOT NULL CHECK (state IN ('pending', 'copying', 'indexing', 'catching_up', 'streaming', 'error')),
  since timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
  rows_copied bigint NOT NULL DEFAULT 0,
  bytes_copied bigint NOT NULL DEFAULT 0,
  copy_started_at timestamptz,
  copy_finished_at timestamptz,
  error_code text,
  error_message text,
  error_remedy text,
  -- What REPLICA IDENTITY we gave the source table, for teardown to list; null where it had one.
  replica_identity_set text,
  PRIMARY KEY (pipeline, source_schema, source_table)
);

-- What happened, for people. The id is the event's time in ms since 1970, raised where two would be equal.
CREATE TABLE pgfollow.event (
  pipeline text NOT NULL,
  id bigint NOT NULL,
  at timestamptz NOT NULL,
  level text NOT NULL,
  source_table text,
  code text NOT NULL,
  message text NOT NULL,
  remedy text,
  PRIMARY KEY (pipeline, id)
);
