-- The event contains all details of the product except its price, including those that did not change.
INSERT INTO products AS p (product_id, sequence, name, image_url)
SELECT DISTINCT ON (aggregate_id) aggregate_id, sequence, payload ->> 'name', payload ->> 'imageUrl'
FROM events
ORDER BY aggregate_id, sequence DESC
ON CONFLICT (product_id) DO UPDATE
SET sequence = excluded.sequence, name = excluded.name, image_url = excluded.image_url
WHERE excluded.sequence > p.sequence;
