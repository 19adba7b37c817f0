INSERT INTO order_lines AS l (order_id, product_id, sequence, name, quantity, unit_price)
SELECT DISTINCT ON (aggregate_id, payload #>> '{item,productId}')
    aggregate_id, payload #>> '{item,productId}', sequence, payload #>> '{item,name}',
    (payload #>> '{item,quantity}')::bigint, (payload #>> '{item,unitPrice}')::numeric
FROM events
ORDER BY aggregate_id, payload #>> '{item,productId}', sequence DESC
ON CONFLICT (order_id, product_id) DO UPDATE
SET sequence = excluded.sequence, name = excluded.name, quantity = excluded.quantity, unit_price = excluded.unit_price
WHERE excluded.sequence > l.sequence;

INSERT INTO orders AS o (order_id, sequence)
SELECT aggregate_id, max(sequence) FROM events GROUP BY aggregate_id ORDER BY aggregate_id
ON CONFLICT (order_id) DO UPDATE SET sequence = greatest(o.sequence, excluded.sequence);
