-- Version 1 of the event had `price` for `unitPrice`, and no currency: all amounts were in euros.
INSERT INTO orders AS o (order_id, customer_id, currency, country, created_at, sequence)
SELECT DISTINCT ON (aggregate_id)
    aggregate_id, payload ->> 'customerId', coalesce(payload ->> 'currency', 'EUR'),
    payload #>> '{shippingAddress,country}', occurred_at, sequence
FROM events
ORDER BY aggregate_id, sequence DESC
ON CONFLICT (order_id) DO UPDATE
SET customer_id = excluded.customer_id, currency = excluded.currency, country = excluded.country,
    created_at = excluded.created_at, sequence = greatest(o.sequence, excluded.sequence);

INSERT INTO order_lines AS l (order_id, product_id, sequence, name, quantity, unit_price)
SELECT DISTINCT ON (e.aggregate_id, item ->> 'productId')
    e.aggregate_id, item ->> 'productId', e.sequence, item ->> 'name', (item ->> 'quantity')::bigint,
    coalesce(item ->> 'unitPrice', item ->> 'price')::numeric
FROM events AS e, jsonb_array_elements(e.payload -> 'items') WITH ORDINALITY AS items (item, place)
ORDER BY e.aggregate_id, item ->> 'productId', e.sequence DESC, place DESC
ON CONFLICT (order_id, product_id) DO UPDATE
SET sequence = excluded.sequence, name = excluded.name, quantity = excluded.quantity, unit_price = excluded.unit_price
WHERE excluded.sequence > l.sequence;
