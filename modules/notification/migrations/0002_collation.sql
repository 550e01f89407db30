-- only: postgres
-- Ids sort by their bytes, as in C++ and on SQLite, whatever the database's locale.
ALTER TABLE mails ALTER COLUMN id TYPE TEXT COLLATE "C";
-- both
