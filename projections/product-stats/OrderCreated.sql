-- Version 1 of the event had `price` for `unitPrice`, and no currency: all amounts were in euros.
INSERT INTO order_lines (order_id, product_id, sequence, name, quantity, unit_price, currency)
SELECT DISTINCT ON (e.aggregate_id, item ->> 'productId')
    e.aggregate_id, item ->> 'productId', e.sequence, item ->> 'name', (item ->> 'quantity')::bigint,
    coalesce(item ->> 'unitPrice', item ->> 'price')::numeric, coalesce(e.payload ->> 'currency', 'EUR')
FROM events AS e, jsonb_array_elements(e.payload -> 'items') WITH ORDINALITY AS items (item, place)
ORDER BY e.aggregate_id, item ->> 'productId', e.sequence DESC, place DESC
ON CONFLICT (order_id, product_id) DO UPDATE
SET sequence = excluded.sequence, name = excluded.name, quantity = excluded.quantity,
    unit_price = excluded.unit_price, currency = excluded.currency
WHERE excluded.sequence > order_lines.sequence;

-- A line that was added has no currency of its own. It gets the order's currency.
UPDATE order_lines AS l SET currency = coalesce(e.payload ->> 'currency', 'EUR')
FROM events AS e WHERE l.order_id = e.aggregate_id AND l.currency IS NULL;
