-- The catalog rows of the publications as they were seen last, `oid:xmin` each: another xmin tells that somebody has altered one, also where it is by now
-- as it was. Null where that was not noted yet.
ALTER TABLE pgfollow.pipeline ADD COLUMN publication_rows text[];
