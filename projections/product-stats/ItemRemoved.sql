INSERT INTO order_lines (order_id, product_id, sequence, quantity, unit_price, currency)
SELECT DISTINCT ON (e.aggregate_id, e.payload ->> 'productId')
    e.aggregate_id, e.payload ->> 'productId', e.sequence, 0, 0,
    (SELECT max(l.currency) FROM order_lines AS l WHERE l.order_id = e.aggregate_id)
FROM events AS e
ORDER BY e.aggregate_id, e.payload ->> 'productId', e.sequence DESC
ON CONFLICT (order_id, product_id) DO UPDATE
SET sequence = excluded.sequence, quantity = 0
WHERE excluded.sequence > order_lines.sequence;
