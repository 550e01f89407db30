-- People. Imported customers have no password: they cannot sign in, and their e-mail is not unique,
-- so that an import can never take an account over, nor hinder somebody from registering.
CREATE TABLE users (
    id            TEXT   NOT NULL PRIMARY KEY,
    email         TEXT   NOT NULL DEFAULT '', -- lower case
    name          TEXT   NOT NULL,
    country       TEXT   NOT NULL DEFAULT '',
    role          TEXT   NOT NULL CHECK (role IN ('customer', 'staff', 'admin', 'importer')),
    password_hash TEXT,
    source        TEXT,
    external_ref  TEXT,
    created_at    BIGINT NOT NULL,
    updated_at    BIGINT NOT NULL,
    CHECK ((source IS NULL) = (external_ref IS NULL)),
    UNIQUE (source, external_ref)
);
CREATE UNIQUE INDEX users_login ON users (email) WHERE password_hash IS NOT NULL;

-- A session is one sign-in: the family of refresh tokens that grows out of it.
CREATE TABLE sessions (
    id         TEXT   NOT NULL PRIMARY KEY,
    user_id    TEXT   NOT NULL REFERENCES users (id),
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL, -- of its newest refresh token
    revoked_at BIGINT
);
CREATE INDEX sessions_user ON sessions (user_id);
CREATE INDEX sessions_expiry ON sessions (expires_at);

-- Used tokens stay until they expire: meeting one again means that it was stolen.
CREATE TABLE refresh_tokens (
    hash       TEXT   NOT NULL PRIMARY KEY, -- SHA-256; the token itself is nowhere
    session_id TEXT   NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
    expires_at BIGINT NOT NULL,
    used_at    BIGINT
);
CREATE INDEX refresh_tokens_session ON refresh_tokens (session_id);

-- The log that gateways follow. Positions have no gaps and rise in the order of commits: they come
-- from a counter row that its transaction keeps locked, not from a sequence.
CREATE TABLE revocations (
    position   BIGINT NOT NULL PRIMARY KEY,
    session_id TEXT   NOT NULL UNIQUE,
    revoked_at BIGINT NOT NULL
);
CREATE INDEX revocations_age ON revocations (revoked_at);
CREATE TABLE revocation_counter (
    id       BIGINT NOT NULL PRIMARY KEY CHECK (id = 1),
    position BIGINT NOT NULL
);
INSERT INTO revocation_counter (id, position) VALUES (1, 0);
