-- What the bus over a broker keeps in a module's database (src/events/rabbitmq).

-- When the broker confirmed the event; NULL: not sent yet. The embedded bus leaves it alone.
ALTER TABLE outbox ADD COLUMN sent_at BIGINT;
-- only: postgres
CREATE INDEX outbox_unsent ON outbox (seq) WHERE sent_at IS NULL;
-- both

-- Who does what only one process may do at a time ("relay/order", "retry/payment"), until when.
-- `fence` rises with each change of hands: what the last one still writes is refused.
CREATE TABLE bus_lease (
    name TEXT NOT NULL PRIMARY KEY,
    owner TEXT NOT NULL,
    fence BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);

-- Listeners that this module's relay has met: a new one is first sent what the outbox still keeps.
CREATE TABLE bus_listener (
    consumer TEXT NOT NULL PRIMARY KEY
);

-- Events that this module has taken from the broker and could not handle yet: one that failed, and
-- those of its lane, an aggregate of one publisher, that came after it (`attempts` and `gaps` 0), in
-- the order of arrival.
-- only: sqlite
CREATE TABLE bus_parked (
    position INTEGER PRIMARY KEY AUTOINCREMENT,
    consumer TEXT NOT NULL,
    lane TEXT NOT NULL,
    event_id TEXT NOT NULL,
    type TEXT NOT NULL,
    aggregate_id TEXT NOT NULL,
    version BIGINT NOT NULL,
    data TEXT NOT NULL,
    traceparent TEXT NOT NULL,
    occurred_at BIGINT NOT NULL,
    attempts BIGINT NOT NULL,
    gaps BIGINT NOT NULL,
    retry_at BIGINT NOT NULL,
    last_error TEXT NOT NULL,
    UNIQUE (consumer, event_id)
);
-- only: postgres
CREATE TABLE bus_parked (
    position BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    consumer TEXT NOT NULL,
    lane TEXT NOT NULL,
    event_id TEXT NOT NULL,
    type TEXT NOT NULL,
    aggregate_id TEXT NOT NULL,
    version BIGINT NOT NULL,
    data TEXT NOT NULL,
    traceparent TEXT NOT NULL,
    occurred_at BIGINT NOT NULL,
    attempts BIGINT NOT NULL,
    gaps BIGINT NOT NULL,
    retry_at BIGINT NOT NULL,
    last_error TEXT NOT NULL,
    UNIQUE (consumer, event_id)
);
-- both
