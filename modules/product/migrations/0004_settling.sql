-- INSERT INTO settling (order_id) moves the units of an order whose holds have just become `released`
-- or `committed`. A transaction settles many orders, in the order of their events, while reservations
-- lock stock in ascending order of product. On PostgreSQL the units therefore move when it commits:
-- for all its orders at once, in ascending order of product, so that neither waits for the other in a
-- circle, and stock is locked for a moment only. On SQLite, where one writes at a time, they move at
-- once. No row stays.
-- only: sqlite
CREATE VIEW settling AS SELECT order_id FROM holds WHERE FALSE;
CREATE TRIGGER settling_moves_units INSTEAD OF INSERT ON settling
BEGIN
    UPDATE stock
    SET available = available + moved.back,
        held = held - moved.back - moved.gone,
        sold = sold + moved.gone
    FROM (
        SELECT product_id,
            CASE status WHEN 'released' THEN quantity ELSE 0 END AS back,
            CASE status WHEN 'committed' THEN quantity ELSE 0 END AS gone
        FROM holds WHERE order_id = NEW.order_id
    ) AS moved
    WHERE stock.product_id = moved.product_id;
END;
-- only: postgres
CREATE UNLOGGED TABLE settling (
    tx       XID8 NOT NULL DEFAULT pg_current_xact_id(),
    order_id TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (tx, order_id)
);
-- Runs for each row; the first moves for all of its transaction. Quoted by apostrophes, since not every
-- splitter of scripts knows dollars.
CREATE FUNCTION move_settled_units() RETURNS TRIGGER LANGUAGE plpgsql AS '
DECLARE
    own XID8 := pg_current_xact_id();
BEGIN
    IF NOT EXISTS (SELECT FROM settling WHERE tx = own) THEN
        RETURN NULL;
    END IF;
    PERFORM FROM stock
    WHERE product_id IN (
        SELECT h.product_id FROM settling s JOIN holds h ON h.order_id = s.order_id
        WHERE s.tx = own
    )
    ORDER BY product_id FOR NO KEY UPDATE;
    UPDATE stock
    SET available = available + moved.back,
        held = held - moved.back - moved.gone,
        sold = sold + moved.gone
    FROM (
        SELECT h.product_id,
            SUM(CASE h.status WHEN ''released'' THEN h.quantity ELSE 0 END) AS back,
            SUM(CASE h.status WHEN ''committed'' THEN h.quantity ELSE 0 END) AS gone
        FROM settling s JOIN holds h ON h.order_id = s.order_id
        WHERE s.tx = own
        GROUP BY h.product_id
    ) AS moved
    WHERE stock.product_id = moved.product_id;
    DELETE FROM settling WHERE tx = own;
    RETURN NULL;
END';
CREATE CONSTRAINT TRIGGER settling_moves_units AFTER INSERT ON settling
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION move_settled_units();
-- both
