-- Up to where the source's history is known to be that of source_timeline, where the source is a standby: it may follow another timeline while it is
-- read, so the checkpoint may be on that one already. Null: up to the checkpoint, as of a primary.
ALTER TABLE pgfollow.pipeline ADD COLUMN source_timeline_until pg_lsn;
