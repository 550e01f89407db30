-- A mail that a customer shall get: written in the transaction that handled the event, so that none
-- is lost. The id comes from the event's, so that a repeat is the same mail.
CREATE TABLE mails (
    id TEXT PRIMARY KEY,
    template TEXT NOT NULL CHECK (template IN ('order_paid', 'order_cancelled')),
    order_id TEXT NOT NULL,
    user_id TEXT NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('queued', 'sent', 'undeliverable')),
    reason TEXT NOT NULL DEFAULT '', -- of what is undeliverable
    tries BIGINT NOT NULL,           -- fences the lease
    next_at BIGINT NOT NULL,         -- when it is due, or when the lease of who has it ends
    created_at BIGINT NOT NULL
);
CREATE INDEX mails_due ON mails (next_at) WHERE status = 'queued';
