INSERT INTO orders AS o (order_id, cancelled_at, cancellation_reason, sequence)
SELECT DISTINCT ON (aggregate_id) aggregate_id, occurred_at, payload ->> 'reason', sequence
FROM events
ORDER BY aggregate_id, sequence DESC
ON CONFLICT (order_id) DO UPDATE
SET cancelled_at = excluded.cancelled_at, cancellation_reason = excluded.cancellation_reason,
    sequence = greatest(o.sequence, excluded.sequence);
