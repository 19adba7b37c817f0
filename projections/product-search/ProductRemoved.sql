-- No other event restores a removed product.
INSERT INTO products AS p (product_id, is_removed)
SELECT DISTINCT aggregate_id, true FROM events ORDER BY aggregate_id
ON CONFLICT (product_id) DO UPDATE SET is_removed = true;
