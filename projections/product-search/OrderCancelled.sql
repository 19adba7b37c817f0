-- Subtracts what the order added when it was confirmed. An order that was never confirmed added nothing.
WITH cancelled AS (
    UPDATE counted_orders AS c SET is_cancelled = true
    FROM events AS e WHERE c.order_id = e.aggregate_id AND NOT c.is_cancelled
    RETURNING c.order_id
)
INSERT INTO products AS p (product_id, units_sold)
SELECT l.product_id, -sum(l.quantity)
FROM cancelled AS c JOIN order_lines AS l ON l.order_id = c.order_id AND l.quantity > 0
GROUP BY l.product_id ORDER BY l.product_id
ON CONFLICT (product_id) DO UPDATE SET units_sold = p.units_sold + excluded.units_sold;
