INSERT INTO order_lines (order_id, product_id, sequence, name, quantity, unit_price, currency)
SELECT DISTINCT ON (e.aggregate_id, item ->> 'productId')
    e.aggregate_id, item ->> 'productId', e.sequence, item ->> 'name', (item ->> 'quantity')::bigint,
    (item ->> 'unitPrice')::numeric, e.payload ->> 'currency'
FROM events AS e, jsonb_array_elements(e.payload -> 'items') WITH ORDINALITY AS items (item, place)
ORDER BY e.aggregate_id, item ->> 'productId', e.sequence DESC, place DESC
ON CONFLICT (order_id, product_id) DO UPDATE
SET sequence = excluded.sequence, name = excluded.name, quantity = excluded.quantity,
    unit_price = excluded.unit_price, currency = excluded.currency
WHERE excluded.sequence > order_lines.sequence;

-- A line that was added has no currency of its own. It gets the order's currency.
UPDATE order_lines AS l SET currency = e.payload ->> 'currency'
FROM events AS e WHERE l.order_id = e.aggregate_id AND l.currency IS NULL;
