-- A forgotten customer keeps the orders, but has no name and no e-mail address any more.
INSERT INTO customers AS c (customer_id, sequence)
SELECT DISTINCT ON (aggregate_id) aggregate_id, sequence FROM events ORDER BY aggregate_id, sequence DESC
ON CONFLICT (customer_id) DO UPDATE SET sequence = excluded.sequence, name = NULL, email = NULL
WHERE excluded.sequence > c.sequence;
