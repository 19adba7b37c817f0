-- An order counts only once. The insert shows whether it was counted before.
WITH confirmed AS (
    INSERT INTO counted_orders (order_id)
    SELECT aggregate_id FROM events GROUP BY aggregate_id
    ON CONFLICT DO NOTHING
    RETURNING order_id
)
INSERT INTO product_stats AS s (product_id, currency, name, purchases, units, revenue, last_sold_at)
SELECT l.product_id, l.currency, max(l.name), count(*), sum(l.quantity), sum(l.quantity * l.unit_price),
    max(e.occurred_at)
FROM confirmed AS c
JOIN order_lines AS l ON l.order_id = c.order_id AND l.quantity > 0
JOIN events AS e ON e.aggregate_id = c.order_id
GROUP BY l.product_id, l.currency
ORDER BY l.product_id, l.currency
ON CONFLICT (product_id, currency) DO UPDATE
SET name = coalesce(greatest(s.name, excluded.name), s.name), purchases = s.purchases + excluded.purchases,
    units = s.units + excluded.units, revenue = s.revenue + excluded.revenue,
    last_sold_at = greatest(s.last_sold_at, excluded.last_sold_at);
