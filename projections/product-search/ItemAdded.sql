INSERT INTO order_lines AS l (order_id, product_id, sequence, quantity)
SELECT DISTINCT ON (aggregate_id, payload #>> '{item,productId}')
    aggregate_id, payload #>> '{item,productId}', sequence, (payload #>> '{item,quantity}')::bigint
FROM events
ORDER BY aggregate_id, payload #>> '{item,productId}', sequence DESC
ON CONFLICT (order_id, product_id) DO UPDATE SET sequence = excluded.sequence, quantity = excluded.quantity
WHERE excluded.sequence > l.sequence;
