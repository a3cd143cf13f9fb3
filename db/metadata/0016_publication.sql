-- Under which name the publication of publication_created was made: publication.names may be another one since. Null where that was not noted yet.
ALTER TABLE pgfollow.pipeline ADD COLUMN publication text;
