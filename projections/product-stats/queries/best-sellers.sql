-- The products that sell best, by units.
--
-- @reads product-stats
-- @path /v1/products/best-sellers
-- @param currency text max=3 Only sales in this currency.
-- @order units desc, product_id, currency
-- @limit default=20 max=100
-- @cache 5s
SELECT product_id, currency, name, purchases, units, revenue::text AS revenue, last_sold_at
FROM product_stats
WHERE :currency IS NULL OR currency = :currency
