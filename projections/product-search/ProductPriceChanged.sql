INSERT INTO products AS p (product_id, price_sequence, price, currency)
SELECT DISTINCT ON (aggregate_id)
    aggregate_id, sequence, (payload ->> 'price')::numeric, payload ->> 'currency'
FROM events
ORDER BY aggregate_id, sequence DESC
ON CONFLICT (product_id) DO UPDATE
SET price_sequence = excluded.price_sequence, price = excluded.price, currency = excluded.currency
WHERE excluded.price_sequence > p.price_sequence;
