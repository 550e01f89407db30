-- Text that is a key, or is searched, is compared byte by byte, as the program and SQLite do, whatever
-- the locale of the database: stock is locked in the order of std::string, pages go on where they
-- ended, and a search folds ASCII only.
-- only: postgres
ALTER TABLE products
    ALTER COLUMN id TYPE TEXT COLLATE "C",
    ALTER COLUMN sku TYPE TEXT COLLATE "C",
    ALTER COLUMN name TYPE TEXT COLLATE "C",
    ALTER COLUMN category TYPE TEXT COLLATE "C";
ALTER TABLE stock
    ALTER COLUMN product_id TYPE TEXT COLLATE "C";
ALTER TABLE reservations
    ALTER COLUMN order_id TYPE TEXT COLLATE "C";
ALTER TABLE holds
    ALTER COLUMN order_id TYPE TEXT COLLATE "C",
    ALTER COLUMN product_id TYPE TEXT COLLATE "C";
ALTER TABLE stock_requests
    ALTER COLUMN caller TYPE TEXT COLLATE "C",
    ALTER COLUMN idempotency_key TYPE TEXT COLLATE "C";
