-- The event contains all details of the customer, including those that did not change.
INSERT INTO customers AS c (customer_id, sequence, name, email)
SELECT DISTINCT ON (aggregate_id) aggregate_id, sequence, payload ->> 'name', payload ->> 'email'
FROM events
ORDER BY aggregate_id, sequence DESC
ON CONFLICT (customer_id) DO UPDATE
SET sequence = excluded.sequence, name = excluded.name, email = excluded.email
WHERE excluded.sequence > c.sequence;
