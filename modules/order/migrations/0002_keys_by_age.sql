-- Answers that are old enough to be forgotten are found by their age.
CREATE INDEX intents_final ON intents (created_at) WHERE status = 'final';
CREATE INDEX cancel_requests_age ON cancel_requests (created_at);

-- only: postgres
-- Ids sort by their bytes, as in C++ and on SQLite, whatever the database's locale.
ALTER TABLE intents ALTER COLUMN order_id TYPE TEXT COLLATE "C";
ALTER TABLE orders ALTER COLUMN id TYPE TEXT COLLATE "C";
ALTER TABLE order_lines ALTER COLUMN order_id TYPE TEXT COLLATE "C";
-- both
