-- The line stays, with quantity 0, so that an earlier event about it does not restore it.
INSERT INTO order_lines AS l (order_id, product_id, sequence, quantity)
SELECT DISTINCT ON (aggregate_id, payload ->> 'productId') aggregate_id, payload ->> 'productId', sequence, 0
FROM events
ORDER BY aggregate_id, payload ->> 'productId', sequence DESC
ON CONFLICT (order_id, product_id) DO UPDATE SET sequence = excluded.sequence, quantity = 0
WHERE excluded.sequence > l.sequence;
