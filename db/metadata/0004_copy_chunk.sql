-- Parts of tables that are being copied in several transactions: written in the one that brings the part's rows, so that none
-- is brought twice. Where there are some, the target's table holds rows of a copy that was not finished.
CREATE TABLE pgfollow.copy_chunk (
  pipeline text NOT NULL REFERENCES pgfollow.pipeline ON DELETE CASCADE,
  source_schema text NOT NULL,
  source_table text NOT NULL,
  chunk int NOT NULL,
  PRIMARY KEY (pipeline, source_schema, source_table, chunk)
);
