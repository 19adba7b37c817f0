-- The event contains the number of pieces after the change, so only the latest event is needed.
INSERT INTO stock AS s (product_id, sequence, available)
SELECT DISTINCT ON (aggregate_id) aggregate_id, sequence, (payload ->> 'available')::bigint
FROM events
ORDER BY aggregate_id, sequence DESC
ON CONFLICT (product_id) DO UPDATE SET sequence = excluded.sequence, available = excluded.available
WHERE excluded.sequence > s.sequence;
