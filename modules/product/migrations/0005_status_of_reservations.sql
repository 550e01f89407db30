-- What becomes of an order's holds is said once, by its reservation: to say it on each line, too, was a
-- new version of every line. `holds.status` is what it was when it was held, for binaries that still
-- read it; the column goes when none does.
-- only: sqlite
DROP TRIGGER settling_moves_units;
CREATE TRIGGER settling_moves_units INSTEAD OF INSERT ON settling
BEGIN
    UPDATE stock
    SET available = available + moved.back,
        held = held - moved.back - moved.gone,
        sold = sold + moved.gone
    FROM (
        SELECT h.product_id,
            CASE r.status WHEN 'released' THEN h.quantity ELSE 0 END AS back,
            CASE r.status WHEN 'committed' THEN h.quantity ELSE 0 END AS gone
        FROM reservations r JOIN holds h ON h.order_id = r.order_id
        WHERE r.order_id = NEW.order_id
    ) AS moved
    WHERE stock.product_id = moved.product_id;
END;
-- only: postgres
CREATE OR REPLACE FUNCTION move_settled_units() RETURNS TRIGGER LANGUAGE plpgsql AS '
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
            SUM(CASE r.status WHEN ''released'' THEN h.quantity ELSE 0 END) AS back,
            SUM(CASE r.status WHEN ''committed'' THEN h.quantity ELSE 0 END) AS gone
        FROM settling s
        JOIN reservations r ON r.order_id = s.order_id
        JOIN holds h ON h.order_id = s.order_id
        WHERE s.tx = own
        GROUP BY h.product_id
    ) AS moved
    WHERE stock.product_id = moved.product_id;
    DELETE FROM settling WHERE tx = own;
    RETURN NULL;
END';
-- both
