INSERT INTO order_lines AS l (order_id, product_id, sequence, quantity)
SELECT DISTINCT ON (e.aggregate_id, item ->> 'productId')
    e.aggregate_id, item ->> 'productId', e.sequence, (item ->> 'quantity')::bigint
FROM events AS e, jsonb_array_elements(e.payload -> 'items') WITH ORDINALITY AS items (item, place)
ORDER BY e.aggregate_id, item ->> 'productId', e.sequence DESC, place DESC
ON CONFLICT (order_id, product_id) DO UPDATE SET sequence = excluded.sequence, quantity = excluded.quantity
WHERE excluded.sequence > l.sequence;
