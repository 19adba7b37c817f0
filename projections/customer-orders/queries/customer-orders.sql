-- The orders of a customer, the latest first, each with its items as a page shows them.
--
-- @reads customer-orders
-- @path /v1/customers/{customer}/history
-- @param customer text required max=255 The customer's id.
-- @param status enum(created,confirmed,cancelled)[] Only orders of these statuses.
-- @order created_at desc, order_id desc
-- @limit default=20 max=100
SELECT order_id, customer_id, customer_name, customer_email, created_at, status, currency, country,
    cancellation_reason, total::text AS total, coalesce(items, '[]') AS items
FROM customer_orders
WHERE customer_id = :customer AND (:status IS NULL OR status = ANY (:status))
