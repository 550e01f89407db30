-- only: postgres
-- Ids sort by their bytes, as in C++ and on SQLite, whatever the database's locale.
ALTER TABLE fences ALTER COLUMN order_id TYPE TEXT COLLATE "C";
ALTER TABLE payments
    ALTER COLUMN id TYPE TEXT COLLATE "C",
    ALTER COLUMN order_id TYPE TEXT COLLATE "C";
ALTER TABLE attempts
    ALTER COLUMN id TYPE TEXT COLLATE "C",
    ALTER COLUMN payment_id TYPE TEXT COLLATE "C";

-- An entry and the closing of its set wait for each other: without the lock each could miss the other
-- until both have committed. A trigger's next statement sees what was committed meanwhile.
CREATE OR REPLACE FUNCTION ledger_entries_open() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended(NEW.set_id, 0));
    IF EXISTS (SELECT 1 FROM ledger_sets WHERE id = NEW.set_id) THEN
        RAISE EXCEPTION 'the ledger set is closed' USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE OR REPLACE FUNCTION ledger_sets_balance() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended(NEW.id, 0));
    IF (SELECT COUNT(*) < 2 OR SUM(amount) <> 0 OR COUNT(DISTINCT currency) <> 1
        FROM ledger_entries WHERE set_id = NEW.id) THEN
        RAISE EXCEPTION 'the ledger set does not sum to zero' USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;
-- both
