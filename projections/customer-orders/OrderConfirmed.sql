INSERT INTO orders AS o (order_id, confirmed_at, sequence)
SELECT aggregate_id, min(occurred_at), max(sequence) FROM events GROUP BY aggregate_id ORDER BY aggregate_id
ON CONFLICT (order_id) DO UPDATE
SET confirmed_at = least(o.confirmed_at, excluded.confirmed_at), sequence = greatest(o.sequence, excluded.sequence);
