-- One row for each order that payment has heard of, from order.placed or from void_order. Its unique
-- key is the lock that makes those two meet: whoever comes second sees what the first one wrote.
CREATE TABLE fences (
    order_id TEXT PRIMARY KEY,
    raised BIGINT NOT NULL CHECK (raised IN (0, 1))
);

CREATE TABLE payments (
    id TEXT PRIMARY KEY,
    order_id TEXT NOT NULL UNIQUE,
    user_id TEXT NOT NULL,
    amount BIGINT NOT NULL CHECK (amount >= 0),
    currency TEXT NOT NULL,
    status TEXT NOT NULL CHECK (
        status IN ('pending', 'captured', 'declined', 'voided', 'refunding', 'refunded')),
    reason TEXT NOT NULL DEFAULT '',
    version BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);

-- The work queue. A row is one request to the provider and its id is the provider's idempotency key.
-- `tries` counts the sends and fences the lease: `next_at` of a sent attempt is when its lease ends.
CREATE TABLE attempts (
    id TEXT PRIMARY KEY,
    payment_id TEXT NOT NULL REFERENCES payments (id),
    order_id TEXT NOT NULL,
    operation TEXT NOT NULL CHECK (operation IN ('charge', 'refund')),
    charge_id TEXT NOT NULL, -- of a refund: the attempt that it gives back
    token TEXT NOT NULL,
    amount BIGINT NOT NULL CHECK (amount > 0),
    currency TEXT NOT NULL,
    status TEXT NOT NULL CHECK (
        status IN ('queued', 'sent', 'captured', 'declined', 'voided', 'refunded')),
    tries BIGINT NOT NULL,
    next_at BIGINT NOT NULL,
    created_at BIGINT NOT NULL
);
CREATE INDEX attempts_due ON attempts (next_at) WHERE status IN ('queued', 'sent');
CREATE INDEX attempts_payment ON attempts (payment_id);

-- The ledger: double entry, append-only. The entries of a set come first, then the row in ledger_sets
-- closes it; closing fails unless the set sums to zero in one currency, and a closed set takes no
-- further entry. One attempt is booked once.
CREATE TABLE accounts (
    name TEXT PRIMARY KEY,
    purpose TEXT NOT NULL
);
INSERT INTO accounts (name, purpose) VALUES
    ('provider_receivable', 'what the payment provider owes us'),
    ('sales', 'what customers paid for orders (credit)'),
    ('refunds', 'what was given back (debit)');

CREATE TABLE ledger_entries (
    set_id TEXT NOT NULL,
    account TEXT NOT NULL REFERENCES accounts (name),
    amount BIGINT NOT NULL CHECK (amount <> 0),
    currency TEXT NOT NULL,
    order_id TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (set_id, account)
);
CREATE INDEX ledger_entries_order ON ledger_entries (order_id);

CREATE TABLE ledger_sets (
    id TEXT PRIMARY KEY,
    attempt_id TEXT NOT NULL UNIQUE REFERENCES attempts (id),
    created_at BIGINT NOT NULL
);

-- only: sqlite
CREATE TRIGGER ledger_entries_update BEFORE UPDATE ON ledger_entries
BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER ledger_entries_delete BEFORE DELETE ON ledger_entries
BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER ledger_sets_update BEFORE UPDATE ON ledger_sets
BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER ledger_sets_delete BEFORE DELETE ON ledger_sets
BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER ledger_entries_closed BEFORE INSERT ON ledger_entries
WHEN EXISTS (SELECT 1 FROM ledger_sets WHERE id = NEW.set_id)
BEGIN SELECT RAISE(ABORT, 'the ledger set is closed'); END;
CREATE TRIGGER ledger_sets_balance BEFORE INSERT ON ledger_sets
WHEN (SELECT COUNT(*) < 2 OR SUM(amount) <> 0 OR COUNT(DISTINCT currency) <> 1
      FROM ledger_entries WHERE set_id = NEW.id)
BEGIN SELECT RAISE(ABORT, 'the ledger set does not sum to zero'); END;

-- only: postgres
CREATE FUNCTION ledger_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the ledger is append-only' USING ERRCODE = 'check_violation';
END $$;
CREATE TRIGGER ledger_entries_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger_entries
    FOR EACH STATEMENT EXECUTE FUNCTION ledger_append_only();
CREATE TRIGGER ledger_sets_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger_sets
    FOR EACH STATEMENT EXECUTE FUNCTION ledger_append_only();
CREATE FUNCTION ledger_entries_open() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT 1 FROM ledger_sets WHERE id = NEW.set_id) THEN
        RAISE EXCEPTION 'the ledger set is closed' USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER ledger_entries_closed BEFORE INSERT ON ledger_entries
    FOR EACH ROW EXECUTE FUNCTION ledger_entries_open();
CREATE FUNCTION ledger_sets_balance() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (SELECT COUNT(*) < 2 OR SUM(amount) <> 0 OR COUNT(DISTINCT currency) <> 1
        FROM ledger_entries WHERE set_id = NEW.id) THEN
        RAISE EXCEPTION 'the ledger set does not sum to zero' USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER ledger_sets_balance BEFORE INSERT ON ledger_sets
    FOR EACH ROW EXECUTE FUNCTION ledger_sets_balance();
-- both
