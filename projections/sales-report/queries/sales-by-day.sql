-- What was sold on each day, by country, category and currency; what was cancelled later does not count.
--
-- @reads sales-report
-- @param from date required The first day, in UTC.
-- @param to date required The day after the last.
-- @param country text[] max=60 Only these countries.
-- @param category text[] max=100 Only these categories.
-- @param currency text max=3 Only this currency.
-- @order day, country, category, currency
-- @limit default=100 max=1000
-- @cache 30s
-- @timeout 5s
SELECT day, country, category, currency, units, revenue::text AS revenue, cancelled_revenue::text AS cancelled_revenue
FROM sales_by_category
WHERE day >= :from AND day < :to AND (:country IS NULL OR country = ANY (:country))
    AND (:category IS NULL OR category = ANY (:category)) AND (:currency IS NULL OR currency = :currency)
