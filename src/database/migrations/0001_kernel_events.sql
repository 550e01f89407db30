-- What every module's database has for the events it sends and receives (src/events).

-- Events that this module has published, in the order of their commits. `seq` is the feed's.
-- only: sqlite
CREATE TABLE outbox (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    event_id TEXT NOT NULL UNIQUE,
    type TEXT NOT NULL,
    aggregate_id TEXT NOT NULL,
    version BIGINT NOT NULL,
    data TEXT NOT NULL,
    traceparent TEXT NOT NULL DEFAULT '',
    occurred_at BIGINT NOT NULL,
    UNIQUE (aggregate_id, version)
);
-- only: postgres
CREATE TABLE outbox (
    seq BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    event_id TEXT NOT NULL UNIQUE,
    type TEXT NOT NULL,
    aggregate_id TEXT NOT NULL,
    version BIGINT NOT NULL,
    data TEXT NOT NULL,
    traceparent TEXT NOT NULL DEFAULT '',
    occurred_at BIGINT NOT NULL,
    UNIQUE (aggregate_id, version)
);
-- both

-- Events whose effect is already in this database, for each consumer.
-- only: sqlite
CREATE TABLE inbox (
    consumer TEXT NOT NULL,
    event_id TEXT NOT NULL,
    received_at BIGINT NOT NULL,
    PRIMARY KEY (consumer, event_id)
) WITHOUT ROWID;
-- only: postgres
CREATE TABLE inbox (
    consumer TEXT NOT NULL,
    event_id TEXT NOT NULL,
    received_at BIGINT NOT NULL,
    PRIMARY KEY (consumer, event_id)
);
-- both

-- How far a consumer of the embedded bus has read this module's outbox.
CREATE TABLE bus_cursor (
    consumer TEXT NOT NULL PRIMARY KEY,
    seq BIGINT NOT NULL
);

-- Deliveries that failed or wait behind one that did: to be tried again at `retry_at`, or dead since
-- `dead_at`. `gaps` counts the tries that came too early, `attempts` the failures.
CREATE TABLE bus_delivery (
    consumer TEXT NOT NULL,
    seq BIGINT NOT NULL,
    event_id TEXT NOT NULL,
    aggregate_id TEXT NOT NULL,
    attempts BIGINT NOT NULL,
    gaps BIGINT NOT NULL,
    retry_at BIGINT NOT NULL,
    last_error TEXT NOT NULL,
    dead_at BIGINT,
    PRIMARY KEY (consumer, seq)
);
