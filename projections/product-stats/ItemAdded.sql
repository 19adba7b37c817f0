INSERT INTO order_lines (order_id, product_id, sequence, name, quantity, unit_price, currency)
SELECT DISTINCT ON (e.aggregate_id, e.payload #>> '{item,productId}')
    e.aggregate_id, e.payload #>> '{item,productId}', e.sequence, e.payload #>> '{item,name}',
    (e.payload #>> '{item,quantity}')::bigint, (e.payload #>> '{item,unitPrice}')::numeric,
    (SELECT max(l.currency) FROM order_lines AS l WHERE l.order_id = e.aggregate_id)
FROM events AS e
ORDER BY e.aggregate_id, e.payload #>> '{item,productId}', e.sequence DESC
ON CONFLICT (order_id, product_id) DO UPDATE
SET sequence = excluded.sequence, name = excluded.name, quantity = excluded.quantity,
    unit_price = excluded.unit_price
WHERE excluded.sequence > order_lines.sequence;
