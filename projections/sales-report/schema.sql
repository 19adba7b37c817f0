-- The facts: the sales of each product, by the day (in UTC) on which the order was confirmed, the country of the
-- delivery, and the currency. A cancellation counts on the day of the sale, in its own columns.
--
-- There is one partition for each month. A query about a month reads one table, and an old month can be detached at
-- once.
CREATE TABLE sales (
    day date NOT NULL,
    country text NOT NULL,
    product_id text NOT NULL,
    currency text NOT NULL,
    orders bigint NOT NULL DEFAULT 0,
    units bigint NOT NULL DEFAULT 0,
    revenue numeric NOT NULL DEFAULT 0,
    cancelled_orders bigint NOT NULL DEFAULT 0,
    cancelled_units bigint NOT NULL DEFAULT 0,
    cancelled_revenue numeric NOT NULL DEFAULT 0,
    PRIMARY KEY (day, country, product_id, currency)
) PARTITION BY RANGE (day);

-- Creates the partition of a month if it does not exist. If several daemons need the same partition, one waits for the
-- other.
CREATE FUNCTION ensure_month(day date) RETURNS void LANGUAGE plpgsql SET client_min_messages = warning AS $$
DECLARE
    first date := date_trunc('month', day);
    partition text := 'sales_' || to_char(day, 'YYYY_MM');
BEGIN
    IF to_regclass(quote_ident(partition)) IS NOT NULL THEN RETURN; END IF;
    PERFORM pg_advisory_xact_lock(hashtextextended('sales-report ' || partition, 0));
    EXECUTE format(
        'CREATE TABLE IF NOT EXISTS %I PARTITION OF sales FOR VALUES FROM (%L) TO (%L)',
        partition, first, first + interval '1 month');
END
$$;

-- The category is looked up when the view is read, because a product may be known only after its first sale, and may
-- change its category.
CREATE TABLE products (
    product_id text PRIMARY KEY,
    sequence bigint NOT NULL,
    name text,
    category text
);

CREATE TABLE orders (
    order_id text PRIMARY KEY,
    country text NOT NULL,
    currency text NOT NULL,
    sold_on date,
    is_cancelled boolean NOT NULL DEFAULT false
);

CREATE TABLE order_lines (
    order_id text NOT NULL,
    product_id text NOT NULL,
    sequence bigint NOT NULL,
    quantity bigint NOT NULL,
    unit_price numeric NOT NULL,
    PRIMARY KEY (order_id, product_id)
);

CREATE VIEW sales_by_category AS
SELECT s.day, s.country, coalesce(p.category, 'unknown') AS category, s.currency,
    sum(s.units - s.cancelled_units)::bigint AS units, sum(s.revenue - s.cancelled_revenue) AS revenue,
    sum(s.cancelled_revenue) AS cancelled_revenue
FROM sales AS s LEFT JOIN products AS p USING (product_id)
GROUP BY 1, 2, 3, 4;

-- Sums by month: of each country and category, of each country, of each category, and of all. A column that a row sums
-- over is NULL there. Different currencies are never added.
CREATE VIEW sales_rollup AS
SELECT date_trunc('month', day)::date AS month, currency, country, category, sum(units)::bigint AS units,
    sum(revenue) AS revenue, sum(cancelled_revenue) AS cancelled_revenue
FROM sales_by_category
GROUP BY GROUPING SETS ((1, currency, country, category), (1, currency, country), (1, currency, category), (1, currency));
