SELECT ensure_month(day)
FROM (
    SELECT DISTINCT ON (date_trunc('month', day)) day
    FROM (SELECT (occurred_at AT TIME ZONE 'UTC')::date AS day FROM events) AS days
    ORDER BY date_trunc('month', day)
) AS months;

-- An order counts only once. The update shows whether it was counted before.
WITH confirmed AS (
    UPDATE orders AS o SET sold_on = e.day
    FROM (
        SELECT aggregate_id, min((occurred_at AT TIME ZONE 'UTC')::date) AS day FROM events GROUP BY aggregate_id
    ) AS e
    WHERE o.order_id = e.aggregate_id AND o.sold_on IS NULL
    RETURNING o.order_id, o.sold_on, o.country, o.currency
)
INSERT INTO sales AS s (day, country, product_id, currency, orders, units, revenue)
SELECT c.sold_on, c.country, l.product_id, c.currency, count(*), sum(l.quantity), sum(l.quantity * l.unit_price)
FROM confirmed AS c JOIN order_lines AS l ON l.order_id = c.order_id AND l.quantity > 0
GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4
ON CONFLICT (day, country, product_id, currency) DO UPDATE
SET orders = s.orders + excluded.orders, units = s.units + excluded.units, revenue = s.revenue + excluded.revenue;
