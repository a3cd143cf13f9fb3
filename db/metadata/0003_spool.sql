-- Changes of tables that cannot take them yet, written in the transaction that moves the checkpoint past them. Each row
-- holds one batch's changes of one table as pgoutput messages, every one behind an int32 length: the table's description, then
-- for each source transaction a Begin with its xid and the changes.
CREATE TABLE pgfollow.spool (
  pipeline text NOT NULL REFERENCES pgfollow.pipeline ON DELETE CASCADE,
  source_schema text NOT NULL,
  source_table text NOT NULL,
  seq bigint NOT NULL GENERATED ALWAYS AS IDENTITY,
  -- Whether values were sent in binary where their types can.
  binary_values boolean NOT NULL,
  bytes bytea NOT NULL,
  PRIMARY KEY (pipeline, source_schema, source_table, seq)
);

ALTER TABLE pgfollow.table_state
  -- Changes go to the spool, whatever the state.
  ADD COLUMN spooling boolean NOT NULL DEFAULT false,
  -- The rows are there as of a copy; only what is in the spool and what comes is missing.
  ADD COLUMN has_rows boolean NOT NULL DEFAULT false,
  -- pg_current_snapshot() of a copy beside the stream: the spool still holds transactions that this saw. Null for none.
  ADD COLUMN copy_snapshot text,
  -- Where the source's WAL ended when that snapshot had been taken: all that it saw ends before.
  ADD COLUMN copy_wal_end pg_lsn,
  -- It is no longer followed. Kept so that its rows are known to be ours when it comes back.
  ADD COLUMN left_at timestamptz;

UPDATE pgfollow.table_state SET has_rows = true WHERE state IN ('catching_up', 'streaming');

-- Tables added and removed by command; this goes before the patterns of the configuration.
CREATE TABLE pgfollow.table_choice (
  pipeline text NOT NULL REFERENCES pgfollow.pipeline ON DELETE CASCADE,
  source_schema text NOT NULL,
  source_table text NOT NULL,
  followed boolean NOT NULL,
  PRIMARY KEY (pipeline, source_schema, source_table)
);
