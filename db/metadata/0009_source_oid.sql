-- Which table of the source the rows come from: its name can come to stand for another one. Null where that was not noted yet.
ALTER TABLE pgfollow.table_state ADD COLUMN source_oid oid;
