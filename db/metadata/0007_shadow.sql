-- Tables that are copied again go to a table of their own first, pgfollow.shadow_<id>, and are merged from there. A row here that
-- no copy works on is left over from one that was killed.
CREATE TABLE pgfollow.shadow (
  id int PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
  pipeline text NOT NULL REFERENCES pgfollow.pipeline ON DELETE CASCADE,
  source_schema text NOT NULL,
  source_table text NOT NULL,
  -- What the merge found, written in its transaction.
  missing bigint,
  extra bigint,
  different bigint
);

-- Which chunks are in a shadow. Unlogged as the shadows are: a crash of the server empties both.
CREATE UNLOGGED TABLE pgfollow.shadow_chunk (
  shadow int NOT NULL,
  chunk int NOT NULL,
  PRIMARY KEY (shadow, chunk)
);
