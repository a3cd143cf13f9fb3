-- Which column of the source's table each name stood for when it was last looked at, [[name, attnum]]: a column that was dropped and made anew, or two
-- that took each other's names, bring other values without a word in the stream. Null where that was not noted yet.
ALTER TABLE pgfollow.table_state ADD COLUMN columns jsonb;
