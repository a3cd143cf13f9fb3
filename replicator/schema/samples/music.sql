-- A music store: names that need quotes, inheritance, collations, trigrams, columns that are gone.
CREATE EXTENSION citext WITH SCHEMA public;
CREATE EXTENSION pg_trgm WITH SCHEMA public;
CREATE SCHEMA "Music Store";
CREATE COLLATION "Music Store"."any case" (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
CREATE TYPE "Music Store"."Ton, art" AS ENUM ('dur', 'moll');
CREATE TYPE "Music Store".length AS (minutes integer, "Sec""onds" numeric(4, 1));
CREATE DOMAIN "Music Store"."E-Mail" AS public.citext CHECK (VALUE ~ '@'::public.citext);
CREATE TABLE "Music Store"."Medium" (
  "Id" serial,
  gone integer,
  "Title" text COLLATE "Music Store"."any case" NOT NULL DEFAULT 'no "title"',
  price numeric(10, 2) DEFAULT 9.99 CHECK (price >= 0),
  CONSTRAINT "Medium PK" PRIMARY KEY ("Id")
);
ALTER TABLE "Music Store"."Medium" DROP COLUMN gone;
CREATE TABLE "Music Store"."Al.bum" (
  "Keys" "Music Store"."Ton, art"[],
  lengths "Music Store".length[] DEFAULT ARRAY[ROW(3, 30.5)::"Music Store".length],
  contact "Music Store"."E-Mail",
  CONSTRAINT cheap CHECK (price < 1000),
  CONSTRAINT "Al.bum PK" PRIMARY KEY ("Id")
) INHERITS ("Music Store"."Medium");
ALTER TABLE "Music Store"."Al.bum" ALTER price SET DEFAULT 19.99;
COMMENT ON COLUMN "Music Store"."Al.bum"."Keys" IS E'of \\ the tracks,\nall of them';
CREATE INDEX "by title, trigrams" ON "Music Store"."Al.bum" USING gin ("Title" public.gin_trgm_ops);
CREATE TABLE "Music Store"."tr'ack" (
  "Al.bum" integer NOT NULL REFERENCES "Music Store"."Al.bum",
  nr smallint NOT NULL,
  name varchar(200) NOT NULL,
  milliseconds bigint,
  seconds numeric GENERATED ALWAYS AS (milliseconds / 1000.0) STORED,
  PRIMARY KEY ("Al.bum", nr),
  UNIQUE (name, "Al.bum")
);
CREATE INDEX ON "Music Store"."tr'ack" ((name || ' USING x'), (CASE WHEN nr > 3 THEN 'a''b' END)) WHERE name <> ' ON "Music Store"."tr''ack" ';
CREATE STATISTICS "Music Store"."about FROM tracks" ON nr, "Al.bum" FROM "Music Store"."tr'ack";
CREATE TABLE public.playlist (id bigserial PRIMARY KEY, "order" integer[], note text DEFAULT E'a\\b');
CREATE TABLE public.playlist_track (
  playlist bigint REFERENCES public.playlist ON DELETE CASCADE,
  track_album integer,
  track_nr smallint,
  FOREIGN KEY (track_album, track_nr) REFERENCES "Music Store"."tr'ack",
  PRIMARY KEY (playlist, track_album, track_nr)
);

INSERT INTO "Music Store"."Medium" ("Title") VALUES ('a box'), ('A bag');
INSERT INTO "Music Store"."Al.bum" ("Title", "Keys", contact) SELECT 'Album ' || i, ARRAY['dur', 'moll']::"Music Store"."Ton, art"[], i || '@Example.com'
  FROM generate_series(1, 20) i;
INSERT INTO "Music Store"."tr'ack" ("Al.bum", nr, name, milliseconds) SELECT "Id", nr, 'Track ' || nr, 1000 * nr FROM "Music Store"."Al.bum", generate_series(1, 5) nr;
INSERT INTO public.playlist ("order") SELECT ARRAY[i] FROM generate_series(1, 5) i;
INSERT INTO public.playlist_track SELECT 1 + (t."Al.bum" % 5), t."Al.bum", t.nr FROM "Music Store"."tr'ack" t;
