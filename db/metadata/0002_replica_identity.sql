-- The REPLICA IDENTITY that we gave to tables of the source, partitions and tables no longer followed among them: written
-- down before it is set, so that teardown can list every one.
CREATE TABLE pgfollow.replica_identity (
  pipeline text NOT NULL REFERENCES pgfollow.pipeline ON DELETE CASCADE,
  source_schema text NOT NULL,
  source_table text NOT NULL,
  -- As in ALTER TABLE ... REPLICA IDENTITY: what we set, and what it was.
  identity text NOT NULL,
  before text NOT NULL,
  PRIMARY KEY (pipeline, source_schema, source_table)
);

INSERT INTO pgfollow.replica_identity
SELECT pipeline, source_schema, source_table, replica_identity_set, 'DEFAULT' FROM pgfollow.table_state WHERE replica_identity_set IS NOT NULL;

ALTER TABLE pgfollow.table_state DROP COLUMN replica_identity_set;
