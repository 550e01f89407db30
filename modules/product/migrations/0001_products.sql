-- The catalogue. A product without a price is not published: only staff see it, nobody can order it.
CREATE TABLE products (
    id           TEXT   NOT NULL PRIMARY KEY,
    sku          TEXT   NOT NULL UNIQUE, -- case-sensitive
    name         TEXT   NOT NULL,
    description  TEXT   NOT NULL,
    category     TEXT   NOT NULL,
    currency     TEXT   NOT NULL,
    price_micros BIGINT CHECK (price_micros >= 0), -- millionths of a minor unit
    version      BIGINT NOT NULL,
    created_at   BIGINT NOT NULL,
    updated_at   BIGINT NOT NULL
);
CREATE INDEX products_feed ON products (created_at, id) WHERE price_micros IS NOT NULL;
CREATE INDEX products_category ON products (category, created_at, id)
    WHERE price_micros IS NOT NULL;

-- Every unit ever received is available, held for an order, or sold. The checks, not the code, are
-- what makes overselling impossible.
CREATE TABLE stock (
    product_id TEXT   NOT NULL PRIMARY KEY REFERENCES products (id),
    received   BIGINT NOT NULL CHECK (received >= 0),
    available  BIGINT NOT NULL CHECK (available >= 0),
    held       BIGINT NOT NULL CHECK (held >= 0),
    sold       BIGINT NOT NULL CHECK (sold >= 0),
    CONSTRAINT stock_adds_up CHECK (received = available + held + sold)
);

-- One row an order. `released` without holds is a tombstone: it refuses a reservation that comes late.
CREATE TABLE reservations (
    order_id   TEXT   NOT NULL PRIMARY KEY,
    status     TEXT   NOT NULL CHECK (status IN ('held', 'committed', 'released')),
    units      BIGINT NOT NULL CHECK (units >= 0),
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);
CREATE INDEX reservations_held ON reservations (created_at) WHERE status = 'held';

-- What was held, as the product was at that moment: a repeated reservation gets the same answer.
CREATE TABLE holds (
    order_id     TEXT   NOT NULL REFERENCES reservations (order_id),
    product_id   TEXT   NOT NULL REFERENCES products (id),
    quantity     BIGINT NOT NULL CHECK (quantity > 0),
    sku          TEXT   NOT NULL,
    name         TEXT   NOT NULL,
    price_micros BIGINT NOT NULL,
    currency     TEXT   NOT NULL,
    status       TEXT   NOT NULL CHECK (status IN ('held', 'committed', 'released')),
    PRIMARY KEY (order_id, product_id)
);

-- Idempotency keys of stock changes, written in the transaction of the change.
CREATE TABLE stock_requests (
    caller          TEXT   NOT NULL,
    idempotency_key TEXT   NOT NULL,
    request_hash    TEXT   NOT NULL,
    answer          TEXT   NOT NULL,
    created_at      BIGINT NOT NULL,
    PRIMARY KEY (caller, idempotency_key)
);
