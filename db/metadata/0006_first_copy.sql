-- Every table that was there at the beginning has been copied, or given up, once. snapshot_finished only says that the slot's
-- position is known and the checkpoint speaks: the stream begins before the tables are copied.
ALTER TABLE pgfollow.pipeline ADD COLUMN first_copy_done boolean NOT NULL DEFAULT false;

UPDATE pgfollow.pipeline SET first_copy_done = snapshot_finished;
