-- All of our own saga's SQL for one order until it is paid and its mail has gone, one order at a
-- time in each client: the statements as souk sends them for a batch of one (recorded 2026-11-23
-- with log_statement), each consumer's step its own transaction, what souk sends in one piece in
-- one pipeline. What a second order in the same batch would share is shared with nobody here. Not
-- in it: renewals of the relays' leases (one in five seconds) and looks that find nothing. Where
-- souk takes the oldest that is due, each client takes its own, without waiting for neighbours: the
-- conditions that say so are marked "own". `k` numbers the orders of all runs.
\set n :n + 1
\set k :start + :n * 256 + :client_id
\set id 1000000000000000000 + :k
\set now 1795467900000000 + :k
\set lease :now + 30000000
\set number 10000000000 + :k % 10000000000 * 618033989 % 10000000000
-- The ids of mails are hashes.
\set mail1 random(1000000000000000, 9999999999999999)
\set mail2 random(1000000000000000, 9999999999999999)
\set user random(100000000, 100000999)
{{draws}}

-- order: the claim [order.claim_intents]
WITH r AS MATERIALIZED (
    SELECT * FROM unnest(ARRAY['{{customer}}' || :user], ARRAY['POST /api/orders'],
        ARRAY['bench-' || :id], ARRAY[CAST(:hash AS TEXT)], ARRAY['ord_01m853p' || :id],
        ARRAY[CAST(:lease AS BIGINT)], ARRAY[CAST(:now AS BIGINT)], ARRAY[CAST(NULL AS TEXT)],
        ARRAY[CAST(NULL AS TEXT)]) WITH ORDINALITY
    AS r (caller, route, key, body_hash, order_id, lease_until, now, source, external_ref, place)
), claimed AS (
    INSERT INTO shop_order.intents (caller, route, idempotency_key, body_hash, order_id, status,
        fence, lease_until, answer_status, answer_body, created_at)
    SELECT r.caller, r.route, r.key, r.body_hash, r.order_id, 'open', 1, r.lease_until, 0, '', r.now
    FROM r ORDER BY r.place
    ON CONFLICT (caller, route, idempotency_key) DO UPDATE
    SET lease_until = excluded.lease_until, fence = intents.fence + 1
    WHERE intents.status = 'open' AND intents.lease_until <= excluded.created_at
        AND intents.body_hash = excluded.body_hash
    RETURNING caller, route, idempotency_key, order_id, fence
)
SELECT r.place, c.order_id, c.fence,
    (SELECT id FROM shop_order.orders o
        WHERE o.source = r.source AND o.external_ref = r.external_ref),
    (SELECT content_hash FROM shop_order.orders o
        WHERE o.source = r.source AND o.external_ref = r.external_ref)
FROM claimed c
JOIN r ON r.caller = c.caller AND r.route = c.route AND r.key = c.idempotency_key;

-- product: the reservation [stock.insert_reservations, stock.reserve]
\startpipeline
INSERT INTO shop_product.reservations (order_id, status, units, created_at, updated_at)
SELECT r.order_id, r.status, r.units, r.now, r.now
FROM unnest(ARRAY['ord_01m853p' || :id], ARRAY['held'], ARRAY[CAST(:lines AS BIGINT)],
    ARRAY[CAST(:now AS BIGINT)]) AS r (order_id, status, units, now)
ON CONFLICT (order_id) DO NOTHING;

WITH mine AS MATERIALIZED (
    SELECT order_id FROM shop_product.reservations WHERE order_id = 'ord_01m853p' || :id
        AND xmin = CAST(pg_current_xact_id_if_assigned() AS XID)
), ids AS MATERIALIZED (
    SELECT {{ids}} AS list -- souk sends the array twice
), wanted AS MATERIALIZED (
    SELECT w.* FROM ids, unnest(ids.list, CAST(:quantities AS BIGINT[])) AS w (product_id, quantity)
), locked AS MATERIALIZED (
    SELECT product_id, available FROM shop_product.stock
    WHERE product_id = ANY ((SELECT list FROM ids)::TEXT[])
        AND EXISTS (SELECT FROM mine) ORDER BY product_id FOR NO KEY UPDATE
), found AS MATERIALIZED (
    SELECT w.product_id, w.quantity, p.sku, p.name, p.price_micros, p.currency,
        p.price_micros IS NOT NULL AS orderable,
        COALESCE(l.available >= w.quantity, FALSE) AS enough
    FROM wanted w
    LEFT JOIN LATERAL (SELECT * FROM shop_product.products WHERE id = w.product_id OFFSET 0) p
        ON TRUE
    LEFT JOIN locked l ON l.product_id = w.product_id
), complete AS MATERIALIZED (
    SELECT BOOL_AND(orderable AND enough) AS yes FROM found
), undone AS (
    DELETE FROM shop_product.reservations r USING mine m, complete c
    WHERE r.order_id = m.order_id AND NOT c.yes
), taken AS (
    UPDATE shop_product.stock SET available = stock.available - f.quantity,
        held = stock.held + f.quantity
    FROM found f, complete c
    WHERE stock.product_id = ANY ((SELECT list FROM ids)::TEXT[])
        AND stock.product_id = f.product_id AND c.yes
), written AS (
    INSERT INTO shop_product.holds (order_id, product_id, quantity, sku, name, price_micros,
        currency, status)
    SELECT m.order_id, f.product_id, f.quantity, f.sku, f.name, f.price_micros, f.currency, 'held'
    FROM found f, mine m, complete c WHERE c.yes
)
SELECT f.product_id, f.sku, f.name, f.price_micros, f.currency, f.orderable, f.enough, c.yes
FROM found f, complete c ORDER BY f.product_id;
\endpipeline

-- order: placed, 201 [outbox.append, order.place]
\startpipeline
INSERT INTO shop_order.outbox (event_id, type, aggregate_id, version, data, traceparent,
    occurred_at)
SELECT * FROM unnest(ARRAY['evt_01m853p' || :id], ARRAY['order.placed'],
    ARRAY['ord_01m853p' || :id], ARRAY[CAST(1 AS BIGINT)], ARRAY[CAST(:placed_event AS TEXT)],
    ARRAY[CAST(:traceparent AS TEXT)], ARRAY[CAST(:now AS BIGINT)]);

WITH closed AS (
    UPDATE shop_order.intents SET status = 'final', answer_status = 201, answer_body = :answer
    WHERE order_id = 'ord_01m853p' || :id AND fence = 1 AND status = 'open' RETURNING order_id
), placed AS (
    INSERT INTO shop_order.orders (id, number, user_id, status, amount, currency, units, line_count,
        payment_token, version, placed_at, created_at, updated_at, source, external_ref,
        imported_by, content_hash)
    SELECT (SELECT order_id FROM closed), 'SO-2611' || :number, '{{customer}}' || :user, 'pending',
        :amount, 'GBP', :lines, :lines, 'tok_approve', 1, :now, :now, :now, NULL, NULL, NULL, NULL
    RETURNING id
)
INSERT INTO shop_order.order_lines (order_id, line_no, product_id, sku, name, quantity,
    unit_price_micros, total)
SELECT p.id, l.line_no, l.product_id, l.sku, l.name, l.quantity, l.price, l.total
FROM placed p, unnest({{ids}}, CAST(:skus AS TEXT[]), CAST(:names AS TEXT[]),
    CAST(:quantities AS BIGINT[]), CAST(:prices AS BIGINT[]), CAST(:totals AS BIGINT[]))
    WITH ORDINALITY AS l (product_id, sku, name, quantity, price, total, line_no);
\endpipeline

-- order's relay: what is unsent, to the broker; confirmed [relay.unsent, relay.mark_sent]
SELECT seq AS seq FROM (
    SELECT seq, event_id, type, aggregate_id, version, data, traceparent, occurred_at
    FROM (SELECT o.*, SUM(LENGTH(data)) OVER (ORDER BY seq) - LENGTH(data) AS bytes_before
        FROM (SELECT * FROM shop_order.outbox WHERE sent_at IS NULL
            AND event_id = 'evt_01m853p' || :id -- own
            ORDER BY seq LIMIT 1) o) b
    WHERE bytes_before < 4194304 ORDER BY seq
) u \gset
UPDATE shop_order.outbox SET sent_at = :now WHERE seq = ANY (ARRAY[CAST(:seq AS BIGINT)])
    AND EXISTS (SELECT 1 FROM shop_order.bus_lease
        WHERE name = 'relay/order' AND owner = 'apksKrhZ8ffL6p_x' AND fence = 1);

-- payment consumes order.placed [inbox.insert, payment.accept]
\startpipeline
BEGIN;
INSERT INTO shop_payment.inbox (consumer, event_id, received_at)
SELECT * FROM unnest(ARRAY['payment'], ARRAY['evt_01m853p' || :id], ARRAY[CAST(:now AS BIGINT)])
ON CONFLICT DO NOTHING RETURNING event_id;
\endpipeline
\startpipeline
WITH r AS (
    SELECT * FROM unnest(ARRAY['ord_01m853p' || :id], ARRAY['pay_01m853p' || :id],
        ARRAY['{{customer}}' || :user], ARRAY[CAST(:amount AS BIGINT)], ARRAY['GBP'],
        ARRAY['att_01m853p' || :id], ARRAY['tok_approve'], ARRAY[CAST(:now AS BIGINT)])
    AS r (order_id, payment_id, user_id, amount, currency, attempt_id, token, now)
), f AS (
    INSERT INTO shop_payment.fences (order_id, raised) SELECT order_id, 0 FROM r
    ON CONFLICT (order_id) DO UPDATE SET raised = fences.raised RETURNING order_id, raised
), p AS (
    INSERT INTO shop_payment.payments (id, order_id, user_id, amount, currency, status, version,
        created_at, updated_at)
    SELECT r.payment_id, r.order_id, r.user_id, r.amount, r.currency,
        CASE f.raised WHEN 0 THEN 'pending' ELSE 'voided' END, 0, r.now, r.now
    FROM r JOIN f ON f.order_id = r.order_id
    ON CONFLICT (order_id) DO NOTHING RETURNING id, status
)
INSERT INTO shop_payment.attempts (id, payment_id, order_id, operation, charge_id, token, amount,
    currency, status, tries, next_at, created_at)
SELECT r.attempt_id, r.payment_id, r.order_id, 'charge', '', r.token, r.amount, r.currency,
    'queued', 0, r.now, r.now
FROM r JOIN p ON p.id = r.payment_id WHERE p.status = 'pending';
COMMIT;
\endpipeline

-- payment's worker takes the attempt, before it goes to the provider [payment.claim_attempts]
UPDATE shop_payment.attempts SET status = 'sent', tries = tries + 1, next_at = :lease
WHERE id = ANY (ARRAY(SELECT id FROM shop_payment.attempts
    WHERE status IN ('queued', 'sent') AND next_at <= :now
        AND next_at >= :now -- own
    ORDER BY next_at LIMIT 1 FOR UPDATE SKIP LOCKED))
RETURNING id, payment_id, order_id, operation, charge_id, token, amount, currency, tries;

-- the provider's answer: charged, booked, told [payment.hold_fences, payment.settle_attempts,
-- payment.capture_payments, payment.insert_entries, payment.close_set, outbox.append]
\startpipeline
BEGIN;
SELECT order_id, raised FROM shop_payment.fences WHERE order_id = ANY (ARRAY['ord_01m853p' || :id])
ORDER BY order_id FOR SHARE;
\endpipeline
UPDATE shop_payment.attempts a SET status = r.status
FROM (SELECT l.id, w.status FROM shop_payment.attempts l
    JOIN unnest(ARRAY['att_01m853p' || :id], ARRAY['captured']) AS w (id, status) ON w.id = l.id
    WHERE l.status = 'sent' ORDER BY l.id FOR NO KEY UPDATE OF l) r
WHERE a.id = r.id AND a.status = 'sent' RETURNING a.id;
UPDATE shop_payment.payments p SET status = 'captured', version = version + 1, updated_at = r.now
FROM unnest(ARRAY['pay_01m853p' || :id], ARRAY[CAST(:now AS BIGINT)]) AS r (id, now)
WHERE p.id = r.id AND p.status = 'pending' RETURNING p.id;
\startpipeline
INSERT INTO shop_payment.ledger_entries (set_id, account, amount, currency, order_id, created_at)
SELECT r.set_id, v.account, v.amount, r.currency, r.order_id, r.now
FROM unnest(ARRAY['led_01m853p' || :id], ARRAY['provider_receivable'],
    ARRAY[CAST(:amount AS BIGINT)], ARRAY['sales'], ARRAY[-CAST(:amount AS BIGINT)], ARRAY['GBP'],
    ARRAY['ord_01m853p' || :id], ARRAY[CAST(:now AS BIGINT)])
    AS r (set_id, account, amount, other_account, other_amount, currency, order_id, now),
LATERAL (VALUES (r.account, r.amount), (r.other_account, r.other_amount)) AS v (account, amount);
INSERT INTO shop_payment.ledger_sets (id, attempt_id, created_at)
SELECT * FROM unnest(ARRAY['led_01m853p' || :id], ARRAY['att_01m853p' || :id], 
    ARRAY[CAST(:now AS BIGINT)]);
INSERT INTO shop_payment.outbox (event_id, type, aggregate_id, version, data, traceparent,
    occurred_at)
SELECT * FROM unnest(ARRAY['evt_01m853q' || :id], ARRAY['payment.captured'],
    ARRAY['pay_01m853p' || :id], ARRAY[CAST(1 AS BIGINT)], ARRAY[CAST(:captured_event AS TEXT)],
    ARRAY[''], ARRAY[CAST(:now AS BIGINT)]);
COMMIT;
\endpipeline

-- payment's relay [relay.unsent, relay.mark_sent]
SELECT seq AS seq FROM (
    SELECT seq, event_id, type, aggregate_id, version, data, traceparent, occurred_at
    FROM (SELECT o.*, SUM(LENGTH(data)) OVER (ORDER BY seq) - LENGTH(data) AS bytes_before
        FROM (SELECT * FROM shop_payment.outbox WHERE sent_at IS NULL
            AND event_id = 'evt_01m853q' || :id -- own
            ORDER BY seq LIMIT 1) o) b
    WHERE bytes_before < 4194304 ORDER BY seq
) u \gset
UPDATE shop_payment.outbox SET sent_at = :now WHERE seq = ANY (ARRAY[CAST(:seq AS BIGINT)])
    AND EXISTS (SELECT 1 FROM shop_payment.bus_lease
        WHERE name = 'relay/payment' AND owner = 'apksKrhZ8ffL6p_x' AND fence = 1);

-- order consumes payment.captured: paid [inbox.insert, order.mark_paid, outbox.append]
\startpipeline
BEGIN;
INSERT INTO shop_order.inbox (consumer, event_id, received_at)
SELECT * FROM unnest(ARRAY['order'], ARRAY['evt_01m853q' || :id], ARRAY[CAST(:now AS BIGINT)])
ON CONFLICT DO NOTHING RETURNING event_id;
\endpipeline
UPDATE shop_order.orders SET status = 'paid', version = version + 1, updated_at = :now
WHERE id = 'ord_01m853p' || :id AND status = 'pending'
RETURNING number, user_id, amount, currency, version;
\startpipeline
INSERT INTO shop_order.outbox (event_id, type, aggregate_id, version, data, traceparent,
    occurred_at)
SELECT * FROM unnest(ARRAY['evt_01m853r' || :id], ARRAY['order.paid'], ARRAY['ord_01m853p' || :id],
    ARRAY[CAST(2 AS BIGINT)], ARRAY[CAST(:paid_event AS TEXT)], ARRAY[''],
    ARRAY[CAST(:now AS BIGINT)]);
COMMIT;
\endpipeline

-- order's relay [relay.unsent, relay.mark_sent]
SELECT seq AS seq FROM (
    SELECT seq, event_id, type, aggregate_id, version, data, traceparent, occurred_at
    FROM (SELECT o.*, SUM(LENGTH(data)) OVER (ORDER BY seq) - LENGTH(data) AS bytes_before
        FROM (SELECT * FROM shop_order.outbox WHERE sent_at IS NULL
            AND event_id = 'evt_01m853r' || :id -- own
            ORDER BY seq LIMIT 1) o) b
    WHERE bytes_before < 4194304 ORDER BY seq
) u \gset
UPDATE shop_order.outbox SET sent_at = :now WHERE seq = ANY (ARRAY[CAST(:seq AS BIGINT)])
    AND EXISTS (SELECT 1 FROM shop_order.bus_lease
        WHERE name = 'relay/order' AND owner = 'apksKrhZ8ffL6p_x' AND fence = 1);

-- product consumes order.paid: the hold is committed, units go from held to sold [inbox.insert,
-- stock.settle_at_once; the trigger moves them at the commit]
\startpipeline
BEGIN;
INSERT INTO shop_product.inbox (consumer, event_id, received_at)
SELECT * FROM unnest(ARRAY['product'], ARRAY['evt_01m853r' || :id], ARRAY[CAST(:now AS BIGINT)])
ON CONFLICT DO NOTHING RETURNING event_id;
\endpipeline
WITH settled AS (
    UPDATE shop_product.reservations SET status = 'committed', updated_at = :now
    WHERE order_id = 'ord_01m853p' || :id AND status = 'held' RETURNING order_id
)
INSERT INTO shop_product.settling (order_id) SELECT order_id FROM settled;
COMMIT;

-- notification consumes order.paid: the mail is queued [inbox.insert, notification.insert_mail]
\startpipeline
BEGIN;
INSERT INTO shop_notification.inbox (consumer, event_id, received_at)
SELECT * FROM unnest(ARRAY['notification'], ARRAY['evt_01m853r' || :id],
    ARRAY[CAST(:now AS BIGINT)])
ON CONFLICT DO NOTHING RETURNING event_id;
\endpipeline
\startpipeline
INSERT INTO shop_notification.mails (id, template, order_id, user_id, status, tries, next_at,
    created_at)
SELECT r.id, r.template, r.order_id, r.user_id, 'queued', 0, r.now, r.now
FROM unnest(ARRAY['mail_' || :mail1 || :mail2], ARRAY['order_paid'], ARRAY['ord_01m853p' || :id],
    ARRAY['{{customer}}' || :user], ARRAY[CAST(:now AS BIGINT)])
    AS r (id, template, order_id, user_id, now)
ON CONFLICT (id) DO NOTHING;
COMMIT;
\endpipeline

-- notification's worker: takes it, asks for the order and the customer, writes the file, marks it
-- [notification.claim_mails, order.find_many, user.find_by_ids, notification.mark_sent]
UPDATE shop_notification.mails SET tries = tries + 1, next_at = :lease
WHERE id = ANY (ARRAY(SELECT id FROM shop_notification.mails
    WHERE status = 'queued' AND next_at <= :now
        AND next_at >= :now -- own
    ORDER BY next_at LIMIT 1 FOR UPDATE SKIP LOCKED))
RETURNING id, template, order_id, user_id, status, tries, created_at;
SELECT o.id, o.number, o.user_id, o.status, o.cancel_reason, o.amount, o.currency, o.version,
    o.placed_at, l.product_id, l.sku, l.name, l.quantity, l.unit_price_micros, l.total
FROM shop_order.orders o JOIN shop_order.order_lines l ON l.order_id = o.id
WHERE o.id = ANY (ARRAY['ord_01m853p' || :id]) AND l.order_id = ANY (ARRAY['ord_01m853p' || :id])
ORDER BY o.id, l.line_no;
SELECT id, email, name, role, created_at FROM shop_user.users
WHERE id = ANY (ARRAY['{{customer}}' || :user]);
UPDATE shop_notification.mails SET status = 'sent'
WHERE id = ANY (ARRAY['mail_' || :mail1 || :mail2]) AND status = 'queued';
