-- The timeline that the source was on when a session last began. A promoted standby is on another one, which may have left the checkpoint's
-- behind before it. Null where that was not noted yet, and for a source that is a standby: it follows a new timeline while it is read.
ALTER TABLE pgfollow.pipeline ADD COLUMN source_timeline bigint;
