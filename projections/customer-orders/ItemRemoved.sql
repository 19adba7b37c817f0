INSERT INTO order_lines AS l (order_id, product_id, sequence, quantity, unit_price)
SELECT DISTINCT ON (aggregate_id, payload ->> 'productId') aggregate_id, payload ->> 'productId', sequence, 0, 0
FROM events
ORDER BY aggregate_id, payload ->> 'productId', sequence DESC
ON CONFLICT (order_id, product_id) DO UPDATE
SET sequence = excluded.sequence, name = NULL, quantity = 0, unit_price = 0
WHERE excluded.sequence > l.sequence;

INSERT INTO orders AS o (order_id, sequence)
SELECT aggregate_id, max(sequence) FROM events GROUP BY aggregate_id ORDER BY aggregate_id
ON CONFLICT (order_id) DO UPDATE SET sequence = greatest(o.sequence, excluded.sequence);
