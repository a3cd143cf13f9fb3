-- What tables.map said of a table when its rows were copied, {where, exclude, rename}: rows of another filter, and values of columns that were not carried
-- or went elsewhere, come by a copy only. The target table is noted already. Null where that was not noted yet.
ALTER TABLE pgfollow.table_state ADD COLUMN mapping jsonb;
