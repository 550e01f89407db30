-- What PostgreSQL must do before an order is answered 201, as one writes it by hand for it alone:
-- three commits, for the claim must outlive whoever works on it, and product's database is not
-- order's. Each is one round trip: the statements travel together, and what must not be is an
-- error, which undoes all of it. `k` numbers the orders of all runs; ids grow with time, as UUIDv7s
-- do.
\set n :n + 1
\set k :start + :n * 256 + :client_id
\set id 1000000000000000000 + :k
\set now 1795467900000000 + :k
\set lease :now + 30000000
-- An order's number for people says nothing about its neighbours; the multiplier is prime to 10^10.
\set number 10000000000 + :k % 10000000000 * 618033989 % 10000000000
\set user random(100000000, 100000999)
{{draws}}

-- 1. The claim: key, hash of the body, id, lease. A commit.
INSERT INTO shop_order.intents (caller, route, idempotency_key, body_hash, order_id, status, fence,
    lease_until, answer_status, answer_body, created_at)
VALUES ('{{customer}}' || :user, 'POST /api/orders', 'bench-' || :id, :hash,
    'ord_01m853p' || :id,
    'open', 1, :lease, 0, '', :now)
ON CONFLICT (caller, route, idempotency_key) DO UPDATE
SET lease_until = excluded.lease_until, fence = intents.fence + 1
WHERE intents.status = 'open' AND intents.lease_until <= :now
    AND intents.body_hash = excluded.body_hash
RETURNING order_id, fence;

-- 2. The reservation: prices come from here. A commit. Too little stock breaks a constraint; an
-- unknown product is NULL, which holds refuse. Stock is locked last, so for the shortest time, and
-- in ascending order (that of the array, as the join is a nested loop), so that no two wait in a
-- circle.
\startpipeline
INSERT INTO shop_product.reservations (order_id, status, units, created_at, updated_at)
VALUES ('ord_01m853p' || :id, 'held', :lines, :now, :now);

INSERT INTO shop_product.holds (order_id, product_id, quantity, sku, name, price_micros, currency,
    status)
SELECT 'ord_01m853p' || :id, w.product_id, w.quantity, p.sku, p.name, p.price_micros, p.currency,
    'held'
FROM unnest({{ids}}, CAST(:quantities AS BIGINT[])) AS w (product_id, quantity)
LEFT JOIN shop_product.products p ON p.id = w.product_id
RETURNING product_id, sku, name, price_micros, currency;

UPDATE shop_product.stock s SET available = s.available - w.quantity, held = s.held + w.quantity
FROM unnest({{ids}}, CAST(:quantities AS BIGINT[])) AS w (product_id, quantity)
WHERE s.product_id = w.product_id;
\endpipeline

-- 3. The order with its lines, the answer, and the event for the relay. A commit. Without the claim
-- there is no id, and that is refused.
\startpipeline
INSERT INTO shop_order.outbox (event_id, type, aggregate_id, version, data, traceparent,
    occurred_at)
VALUES ('evt_01m853p' || :id, 'order.placed', 'ord_01m853p' || :id, 1, :placed_event,
    :traceparent, :now);

WITH closed AS (
    UPDATE shop_order.intents SET status = 'final', answer_status = 201, answer_body = :answer
    WHERE order_id = 'ord_01m853p' || :id AND fence = 1 AND status = 'open' RETURNING order_id
), placed AS (
    INSERT INTO shop_order.orders (id, number, user_id, status, amount, currency, units, line_count,
        payment_token, version, placed_at, created_at, updated_at)
    SELECT (SELECT order_id FROM closed), 'SO-2611' || :number, '{{customer}}' || :user, 'pending',
        :amount, 'GBP', :lines, :lines, 'tok_approve', 1, :now, :now, :now
    RETURNING id
)
INSERT INTO shop_order.order_lines (order_id, line_no, product_id, sku, name, quantity,
    unit_price_micros, total)
SELECT p.id, l.line_no, l.product_id, l.sku, l.name, l.quantity, l.price, l.total
FROM placed p, unnest({{ids}}, CAST(:skus AS TEXT[]), CAST(:names AS TEXT[]),
    CAST(:quantities AS BIGINT[]), CAST(:prices AS BIGINT[]), CAST(:totals AS BIGINT[]))
    WITH ORDINALITY AS l (product_id, sku, name, quantity, price, total, line_no);
\endpipeline
