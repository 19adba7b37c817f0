-- An order counts only once. The insert shows whether it was counted before.
WITH confirmed AS (
    INSERT INTO counted_orders (order_id) SELECT DISTINCT aggregate_id FROM events ON CONFLICT DO NOTHING
    RETURNING order_id
)
INSERT INTO products AS p (product_id, units_sold)
SELECT l.product_id, sum(l.quantity)
FROM confirmed AS c JOIN order_lines AS l ON l.order_id = c.order_id AND l.quantity > 0
GROUP BY l.product_id ORDER BY l.product_id
ON CONFLICT (product_id) DO UPDATE SET units_sold = p.units_sold + excluded.units_sold;
