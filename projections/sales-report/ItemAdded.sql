INSERT INTO order_lines AS l (order_id, product_id, sequence, quantity, unit_price)
SELECT DISTINCT ON (aggregate_id, payload #>> '{item,productId}')
    aggregate_id, payload #>> '{item,productId}', sequence, (payload #>> '{item,quantity}')::bigint,
    (payload #>> '{item,unitPrice}')::numeric
FROM events
ORDER BY aggregate_id, payload #>> '{item,productId}', sequence DESC
ON CONFLICT (order_id, product_id) DO UPDATE
SET sequence = excluded.sequence, quantity = excluded.quantity, unit_price = excluded.unit_price
WHERE excluded.sequence > l.sequence;
