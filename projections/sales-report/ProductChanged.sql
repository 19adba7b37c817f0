-- The whole of a product but its price, not what differs.
INSERT INTO products AS p (product_id, sequence, name, category)
SELECT DISTINCT ON (aggregate_id) aggregate_id, sequence, payload ->> 'name', payload ->> 'category'
FROM events
ORDER BY aggregate_id, sequence DESC
ON CONFLICT (product_id) DO UPDATE
SET sequence = excluded.sequence, name = excluded.name, category = excluded.category
WHERE excluded.sequence > p.sequence;
