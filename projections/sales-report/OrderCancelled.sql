-- An order that was never confirmed was not sold. For other orders the rows already exist, because the sale created
-- them.
WITH cancelled AS (
    UPDATE orders AS o SET is_cancelled = true
    FROM events AS e WHERE o.order_id = e.aggregate_id AND o.sold_on IS NOT NULL AND NOT o.is_cancelled
    RETURNING o.order_id, o.sold_on, o.country, o.currency
)
INSERT INTO sales AS s (
    day, country, product_id, currency, cancelled_orders, cancelled_units, cancelled_revenue
)
SELECT c.sold_on, c.country, l.product_id, c.currency, count(*), sum(l.quantity), sum(l.quantity * l.unit_price)
FROM cancelled AS c JOIN order_lines AS l ON l.order_id = c.order_id AND l.quantity > 0
GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4
ON CONFLICT (day, country, product_id, currency) DO UPDATE
SET cancelled_orders = s.cancelled_orders + excluded.cancelled_orders,
    cancelled_units = s.cancelled_units + excluded.cancelled_units,
    cancelled_revenue = s.cancelled_revenue + excluded.cancelled_revenue;
