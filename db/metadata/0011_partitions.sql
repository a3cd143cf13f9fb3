-- The partitions that a table had when it was last looked at, [{oid, edges, file, name}]: rows come to a table and leave it with them, without
-- a word in the stream. Null where that was not noted yet.
ALTER TABLE pgfollow.table_state ADD COLUMN partitions jsonb;
