-- Version 1 of the event had `price` for `unitPrice`, and no currency: all amounts were in euros.
INSERT INTO orders (order_id, country, currency)
SELECT DISTINCT ON (aggregate_id)
    aggregate_id, coalesce(payload #>> '{shippingAddress,country}', 'unknown'),
    coalesce(payload ->> 'currency', 'EUR')
FROM events
ORDER BY aggregate_id, sequence
ON CONFLICT DO NOTHING;

INSERT INTO order_lines AS l (order_id, product_id, sequence, quantity, unit_price)
SELECT DISTINCT ON (e.aggregate_id, item ->> 'productId')
    e.aggregate_id, item ->> 'productId', e.sequence, (item ->> 'quantity')::bigint,
    coalesce(item ->> 'unitPrice', item ->> 'price')::numeric
FROM events AS e, jsonb_array_elements(e.payload -> 'items') WITH ORDINALITY AS items (item, place)
ORDER BY e.aggregate_id, item ->> 'productId', e.sequence DESC, place DESC
ON CONFLICT (order_id, product_id) DO UPDATE
SET sequence = excluded.sequence, quantity = excluded.quantity, unit_price = excluded.unit_price
WHERE excluded.sequence > l.sequence;
