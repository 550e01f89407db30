-- only: sqlite
-- Rows lie in the tree of their key instead of in one of their own beside it: one place to write and
-- to find them, not two. And a CHECK with a list of three made a table of the moment each time.
CREATE TABLE new_fences (
    order_id TEXT NOT NULL PRIMARY KEY,
    raised BIGINT NOT NULL CHECK (raised IN (0, 1))
) WITHOUT ROWID;
INSERT INTO new_fences (order_id, raised) SELECT order_id, raised FROM fences ORDER BY order_id;
DROP TABLE fences;
ALTER TABLE new_fences RENAME TO fences;

CREATE TABLE new_payments (
    id TEXT NOT NULL PRIMARY KEY,
    order_id TEXT NOT NULL UNIQUE,
    user_id TEXT NOT NULL,
    amount BIGINT NOT NULL CHECK (amount >= 0),
    currency TEXT NOT NULL,
    status TEXT NOT NULL CHECK (
        status = 'pending' OR status = 'captured' OR status = 'declined' OR status = 'voided'
        OR status = 'refunding' OR status = 'refunded'),
    reason TEXT NOT NULL DEFAULT '',
    version BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
) WITHOUT ROWID;
INSERT INTO new_payments (id, order_id, user_id, amount, currency, status, reason, version,
    created_at, updated_at)
SELECT id, order_id, user_id, amount, currency, status, reason, version, created_at, updated_at
FROM payments ORDER BY id;

CREATE TABLE new_attempts (
    id TEXT NOT NULL PRIMARY KEY,
    payment_id TEXT NOT NULL REFERENCES new_payments (id),
    order_id TEXT NOT NULL,
    operation TEXT NOT NULL CHECK (operation IN ('charge', 'refund')),
    charge_id TEXT NOT NULL,
    token TEXT NOT NULL,
    amount BIGINT NOT NULL CHECK (amount > 0),
    currency TEXT NOT NULL,
    status TEXT NOT NULL CHECK (
        status = 'queued' OR status = 'sent' OR status = 'captured' OR status = 'declined'
        OR status = 'voided' OR status = 'refunded'),
    tries BIGINT NOT NULL,
    next_at BIGINT NOT NULL,
    created_at BIGINT NOT NULL
) WITHOUT ROWID;
INSERT INTO new_attempts (id, payment_id, order_id, operation, charge_id, token, amount, currency,
    status, tries, next_at, created_at)
SELECT id, payment_id, order_id, operation, charge_id, token, amount, currency, status, tries,
    next_at, created_at
FROM attempts ORDER BY id;

CREATE TABLE new_ledger_entries (
    set_id TEXT NOT NULL,
    account TEXT NOT NULL REFERENCES accounts (name),
    amount BIGINT NOT NULL CHECK (amount <> 0),
    currency TEXT NOT NULL,
    order_id TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (set_id, account)
) WITHOUT ROWID;
INSERT INTO new_ledger_entries (set_id, account, amount, currency, order_id, created_at)
SELECT set_id, account, amount, currency, order_id, created_at
FROM ledger_entries ORDER BY set_id, account;

CREATE TABLE new_ledger_sets (
    id TEXT NOT NULL PRIMARY KEY,
    attempt_id TEXT NOT NULL UNIQUE REFERENCES new_attempts (id),
    created_at BIGINT NOT NULL
) WITHOUT ROWID;
INSERT INTO new_ledger_sets (id, attempt_id, created_at)
SELECT id, attempt_id, created_at FROM ledger_sets ORDER BY id;

-- Their triggers go with them.
DROP TABLE ledger_sets;
DROP TABLE ledger_entries;
DROP TABLE attempts;
DROP TABLE payments;
ALTER TABLE new_payments RENAME TO payments;
ALTER TABLE new_attempts RENAME TO attempts;
ALTER TABLE new_ledger_entries RENAME TO ledger_entries;
ALTER TABLE new_ledger_sets RENAME TO ledger_sets;
CREATE INDEX attempts_due ON attempts (next_at) WHERE status IN ('queued', 'sent');
CREATE INDEX attempts_payment ON attempts (payment_id);

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
-- As before, without a table of the moment for the distinct currencies.
CREATE TRIGGER ledger_sets_balance BEFORE INSERT ON ledger_sets
WHEN (SELECT COUNT(*) < 2 OR SUM(amount) <> 0 OR MIN(currency) <> MAX(currency)
      FROM ledger_entries WHERE set_id = NEW.id)
BEGIN SELECT RAISE(ABORT, 'the ledger set does not sum to zero'); END;
-- both
