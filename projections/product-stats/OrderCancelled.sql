-- Subtracts what the order added when it was confirmed. An order that was never confirmed added nothing.
WITH cancelled AS (
    UPDATE counted_orders AS c SET is_cancelled = true
    FROM events AS e WHERE c.order_id = e.aggregate_id AND NOT c.is_cancelled
    RETURNING c.order_id
), taken AS (
    SELECT l.product_id, l.currency, count(*) AS purchases, sum(l.quantity) AS units,
        sum(l.quantity * l.unit_price) AS revenue
    FROM cancelled AS c JOIN order_lines AS l ON l.order_id = c.order_id AND l.quantity > 0
    GROUP BY l.product_id, l.currency
)
UPDATE product_stats AS s
SET purchases = s.purchases - t.purchases, units = s.units - t.units, revenue = s.revenue - t.revenue
FROM taken AS t WHERE t.product_id = s.product_id AND t.currency = s.currency;
