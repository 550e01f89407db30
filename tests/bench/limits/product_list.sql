SELECT p.id, p.sku, p.name, p.description, p.category, p.currency, p.price_micros, p.version,
    p.created_at, s.available
FROM products p JOIN stock s ON s.product_id = p.id
WHERE p.price_micros IS NOT NULL AND (p.created_at, p.id) < ($1, $2)
ORDER BY p.created_at DESC, p.id DESC LIMIT 21
