-- One order as a page shows it. With min_version the answer has all events of the order up to that sequence.
--
-- @reads customer-orders
-- @param order text required max=255 The order's id.
-- @limit default=1 max=1
-- @version sequence
SELECT order_id, sequence, customer_id, customer_name, customer_email, created_at, status, currency, country,
    cancellation_reason, total::text AS total, coalesce(items, '[]') AS items
FROM customer_orders
WHERE order_id = :order
