-- Sums of a month: of each country and category, of each country, of each category, and of all. What a row sums over is
-- null there.
--
-- @reads sales-report
-- @param month date required The month's first day.
-- @param currency text required max=3 The currency.
-- @limit default=1000 max=1000
-- @cache 30s
-- @timeout 5s
SELECT country, category, units, revenue::text AS revenue, cancelled_revenue::text AS cancelled_revenue
FROM sales_rollup
WHERE month = :month AND currency = :currency
ORDER BY country NULLS FIRST, category NULLS FIRST
