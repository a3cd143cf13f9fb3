-- By which entries of the publications a table's changes come: one that is made anew was not there for a while. Null where that was not noted yet.
ALTER TABLE pgfollow.table_state ADD COLUMN membership text[];
