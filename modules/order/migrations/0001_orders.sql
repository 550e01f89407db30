-- What a caller set out to do, committed before anything else happens: the idempotency key, the id
-- that the order has or will have, and a lease with a fencing number for whoever works on it.
--   open   somebody works on it, or did when he died; an expired lease may be taken over
--   final  answered; the answer is replayed
--   dead   fenced by the sweeper, its hold being released; the row goes when that is done
CREATE TABLE intents (
    caller          TEXT   NOT NULL,
    route           TEXT   NOT NULL,
    idempotency_key TEXT   NOT NULL,
    body_hash       TEXT   NOT NULL,
    order_id        TEXT   NOT NULL UNIQUE,
    status          TEXT   NOT NULL CHECK (status IN ('open', 'final', 'dead')),
    fence           BIGINT NOT NULL,
    lease_until     BIGINT NOT NULL,
    answer_status   BIGINT NOT NULL,
    answer_body     TEXT   NOT NULL,
    created_at      BIGINT NOT NULL,
    PRIMARY KEY (caller, route, idempotency_key)
);
CREATE INDEX intents_unfinished ON intents (lease_until) WHERE status <> 'final';

CREATE TABLE orders (
    id            TEXT   NOT NULL PRIMARY KEY,
    number        TEXT   NOT NULL UNIQUE, -- for people
    user_id       TEXT   NOT NULL,
    status        TEXT   NOT NULL CHECK (status IN ('pending', 'paid', 'cancelled')),
    cancel_reason TEXT   NOT NULL DEFAULT '',
    amount        BIGINT NOT NULL CHECK (amount >= 0 AND amount <= 9007199254740991),
    currency      TEXT   NOT NULL,
    units         BIGINT NOT NULL CHECK (units > 0),
    line_count    BIGINT NOT NULL CHECK (line_count > 0),
    payment_token TEXT   NOT NULL,
    version       BIGINT NOT NULL,
    placed_at     BIGINT NOT NULL,
    created_at    BIGINT NOT NULL,
    updated_at    BIGINT NOT NULL,
    source        TEXT, -- the last four only for imported orders
    external_ref  TEXT,
    imported_by   TEXT,
    content_hash  TEXT,
    CHECK ((source IS NULL) = (external_ref IS NULL)),
    CHECK ((source IS NULL) = (imported_by IS NULL)),
    CHECK ((source IS NULL) = (content_hash IS NULL)),
    CHECK ((status = 'cancelled') = (cancel_reason <> '')),
    UNIQUE (source, external_ref)
);
CREATE INDEX orders_of_user ON orders (user_id, placed_at, id);
CREATE INDEX orders_pending ON orders (created_at) WHERE status = 'pending';

CREATE TABLE order_lines (
    order_id          TEXT   NOT NULL REFERENCES orders (id),
    line_no           BIGINT NOT NULL,
    product_id        TEXT   NOT NULL,
    sku               TEXT   NOT NULL,
    name              TEXT   NOT NULL,
    quantity          BIGINT NOT NULL CHECK (quantity > 0),
    unit_price_micros BIGINT NOT NULL CHECK (unit_price_micros >= 0),
    total             BIGINT NOT NULL CHECK (total >= 0),
    PRIMARY KEY (order_id, line_no)
);

-- Idempotency keys of cancellations, written in the transaction that cancels.
CREATE TABLE cancel_requests (
    caller          TEXT   NOT NULL,
    idempotency_key TEXT   NOT NULL,
    request_hash    TEXT   NOT NULL,
    answer          TEXT   NOT NULL,
    created_at      BIGINT NOT NULL,
    PRIMARY KEY (caller, idempotency_key)
);
