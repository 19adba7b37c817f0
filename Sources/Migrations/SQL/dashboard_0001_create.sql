-- The read model of the dashboard, version 1: what is known of each order, and numbers counted from it.
--
-- dashboard_v1_orders holds the facts of one order in a row, merged by rules that do not mind order nor repetition.
-- What an order counts for is a function of its facts. A transaction locks the rows of its orders, merges what its
-- events tell, and adds to the counters what the orders count for now less what they counted for before. So the
-- counters are at any moment the sum over all orders of that function, whatever came first.
--
-- Counters are kept in lanes. A transaction takes the lowest lane that nobody has (an advisory lock, until it ends) and
-- changes rows of that lane alone; a number is the sum over the lanes, which the views below make. So no two
-- transactions ever wait for each other's counters, be it the row of the day that all of them count in. There are as
-- many lanes as there were ever transactions at once: with one process, one. A single lane's number may be negative.
--
-- Times are those of the events, days are those of UTC, texts compare by bytes.

-- The columns' order is the order of a record's fields on the wire. Lines and payments are JSON, but kept as text: they
-- are written and read whole, and an update that says nothing of them leaves them alone.
CREATE TABLE dashboard_v1_orders (
    order_id text COLLATE "C" PRIMARY KEY,
    -- The latest OrderCreated.
    created_at timestamptz,
    created_event_id uuid,
    customer_id text COLLATE "C",
    currency text COLLATE "C",
    confirmed_at timestamptz,
    cancelled_at timestamptz,
    -- The first shipment; the latest one; the latest delivery.
    first_shipped_at timestamptz,
    shipped_at timestamptz,
    shipped_event_id uuid,
    shipped_id text COLLATE "C",
    delivered_at timestamptz,
    delivered_event_id uuid,
    delivered_id text COLLATE "C",
    -- [[productId, sequence, quantity, "unitPrice", name], …], and [productId, sequence] for a line that was removed,
    -- which stays known lest an older event bring it back.
    lines text,
    -- [[paymentId, completed, failed, refunded], …], each fate [µs since 1970, eventId, "amount", currency] or null
    payments text
) WITH (fillfactor = 50);

CREATE TABLE dashboard_v1_counters (
    resolution text COLLATE "C" NOT NULL CHECK (resolution IN ('minute', 'hour', 'day')),
    -- Where the minute, hour or day begins.
    bucket timestamptz NOT NULL,
    currency text COLLATE "C" NOT NULL,
    lane smallint NOT NULL,
    orders_created bigint NOT NULL,
    orders_confirmed bigint NOT NULL,
    orders_paid bigint NOT NULL,
    orders_delivered bigint NOT NULL,
    orders_cancelled bigint NOT NULL,
    payments_completed bigint NOT NULL,
    payments_failed bigint NOT NULL,
    payments_refunded bigint NOT NULL,
    revenue numeric NOT NULL,
    refunds numeric NOT NULL,
    PRIMARY KEY (resolution, bucket, currency, lane)
) WITH (fillfactor = 50);

-- From where on minutes and hours are kept: what is older was dropped, and what comes late for it counts in the larger
-- buckets alone. Moves forward only.
CREATE TABLE dashboard_v1_horizons (
    resolution text COLLATE "C" PRIMARY KEY CHECK (resolution IN ('minute', 'hour')),
    kept_from timestamptz NOT NULL
);
INSERT INTO dashboard_v1_horizons VALUES ('minute', '-infinity'), ('hour', '-infinity');

CREATE TABLE dashboard_v1_statuses (
    status text COLLATE "C" NOT NULL,
    lane smallint NOT NULL,
    orders bigint NOT NULL,
    PRIMARY KEY (status, lane)
) WITH (fillfactor = 20);

CREATE TABLE dashboard_v1_products (
    day date NOT NULL,
    currency text COLLATE "C" NOT NULL,
    product_id text COLLATE "C" NOT NULL,
    lane smallint NOT NULL,
    name text COLLATE "C" NOT NULL,
    units bigint NOT NULL,
    revenue numeric NOT NULL,
    PRIMARY KEY (day, currency, product_id, lane)
) WITH (fillfactor = 50);

CREATE TABLE dashboard_v1_customers (
    customer_id text COLLATE "C" NOT NULL,
    currency text COLLATE "C" NOT NULL,
    lane smallint NOT NULL,
    orders bigint NOT NULL,
    cancelled bigint NOT NULL,
    spent numeric NOT NULL,
    refunded numeric NOT NULL,
    last_order_at timestamptz,
    PRIMARY KEY (customer_id, currency, lane)
) WITH (fillfactor = 50);

-- A histogram a day and step. Bins grow with what they hold: up to 31 ms each is one wide, above that there are 16 to
-- each doubling, so that a quantile read from them is off by less than a sixteenth.
CREATE TABLE dashboard_v1_durations (
    day date NOT NULL,
    step text COLLATE "C" NOT NULL CHECK (step IN ('paid', 'shipped', 'delivered')),
    at_least_ms bigint NOT NULL,
    lane smallint NOT NULL,
    below_ms bigint NOT NULL,
    orders bigint NOT NULL,
    PRIMARY KEY (day, step, at_least_ms, lane)
) WITH (fillfactor = 50);

-- What readers read.

CREATE VIEW dashboard_counters AS
SELECT
    c.resolution, c.bucket, c.currency,
    sum(c.orders_created)::bigint AS orders_created,
    sum(c.orders_confirmed)::bigint AS orders_confirmed,
    sum(c.orders_paid)::bigint AS orders_paid,
    sum(c.orders_delivered)::bigint AS orders_delivered,
    sum(c.orders_cancelled)::bigint AS orders_cancelled,
    sum(c.payments_completed)::bigint AS payments_completed,
    sum(c.payments_failed)::bigint AS payments_failed,
    sum(c.payments_refunded)::bigint AS payments_refunded,
    sum(c.revenue) AS revenue,
    sum(c.refunds) AS refunds
FROM dashboard_v1_counters AS c
WHERE c.resolution = 'day'
    OR c.bucket >= (SELECT h.kept_from FROM dashboard_v1_horizons AS h WHERE h.resolution = c.resolution)
GROUP BY c.resolution, c.bucket, c.currency
HAVING sum(c.orders_created) <> 0 OR sum(c.orders_confirmed) <> 0 OR sum(c.orders_paid) <> 0
    OR sum(c.orders_delivered) <> 0 OR sum(c.orders_cancelled) <> 0 OR sum(c.payments_completed) <> 0
    OR sum(c.payments_failed) <> 0 OR sum(c.payments_refunded) <> 0;

CREATE VIEW dashboard_horizons AS SELECT resolution, kept_from FROM dashboard_v1_horizons;

COMMENT ON VIEW dashboard_horizons IS 'From when on dashboard_counters has minutes and hours; days it has all.';

COMMENT ON VIEW dashboard_counters IS 'What happened in each minute, hour and day, by currency.';
COMMENT ON COLUMN dashboard_counters.resolution IS 'minute, hour or day. Each of them counts the same events.';
COMMENT ON COLUMN dashboard_counters.bucket IS 'Where it begins, in UTC, by the time of the events.';
COMMENT ON COLUMN dashboard_counters.orders_created IS 'Orders created then, by their currency.';
COMMENT ON COLUMN dashboard_counters.orders_confirmed IS 'Orders confirmed then.';
COMMENT ON COLUMN dashboard_counters.orders_paid IS 'Orders of which a payment was completed for the first time then.';
COMMENT ON COLUMN dashboard_counters.orders_delivered IS 'Orders delivered, then for the last time.';
COMMENT ON COLUMN dashboard_counters.orders_cancelled IS 'Orders cancelled then.';
COMMENT ON COLUMN dashboard_counters.payments_completed IS 'Payments completed then, by the payment''s currency.';
COMMENT ON COLUMN dashboard_counters.payments_failed IS
    'Payments that failed, then for the last time, whether or not they were completed later.';
COMMENT ON COLUMN dashboard_counters.payments_refunded IS 'Payments refunded then.';
COMMENT ON COLUMN dashboard_counters.revenue IS 'The amounts of payments_completed. Refunds are not taken off.';
COMMENT ON COLUMN dashboard_counters.refunds IS 'The amounts of payments_refunded.';

CREATE VIEW dashboard_statuses AS
SELECT status, sum(orders)::bigint AS orders
FROM dashboard_v1_statuses GROUP BY status HAVING sum(orders) <> 0;

COMMENT ON VIEW dashboard_statuses IS
    'How many orders are in each status now, by the rules of order_summary.status; statuses without orders are absent.';

CREATE VIEW dashboard_products AS
SELECT day, currency, product_id, max(name) AS name, sum(units)::bigint AS units, sum(revenue) AS revenue
FROM dashboard_v1_products GROUP BY day, currency, product_id HAVING sum(units) <> 0;

COMMENT ON VIEW dashboard_products IS
    'What was sold: the lines of orders that were paid, on the day of the first payment, in the order''s currency.';
COMMENT ON COLUMN dashboard_products.name IS 'Of the names that it was sold by on that day, the last by its bytes.';
COMMENT ON COLUMN dashboard_products.units IS 'Pieces.';
COMMENT ON COLUMN dashboard_products.revenue IS 'Pieces times their price. Refunds are not taken off.';

CREATE VIEW dashboard_customers AS
SELECT customer_id, currency, sum(orders)::bigint AS orders, sum(cancelled)::bigint AS cancelled,
    sum(spent) AS spent, sum(refunded) AS refunded, max(last_order_at) AS last_order_at
FROM dashboard_v1_customers GROUP BY customer_id, currency
HAVING sum(orders) <> 0 OR sum(spent) <> 0 OR sum(refunded) <> 0;

COMMENT ON VIEW dashboard_customers IS 'What each customer ordered and paid, by currency.';
COMMENT ON COLUMN dashboard_customers.orders IS 'Orders created in this currency, cancelled ones included.';
COMMENT ON COLUMN dashboard_customers.cancelled IS 'How many of them are cancelled.';
COMMENT ON COLUMN dashboard_customers.spent IS 'Payments completed in this currency. Refunds are not taken off.';
COMMENT ON COLUMN dashboard_customers.refunded IS 'Payments refunded in this currency.';
COMMENT ON COLUMN dashboard_customers.last_order_at IS
    'When the latest of the orders was created; NULL without orders.';

CREATE VIEW dashboard_durations AS
SELECT day, step, at_least_ms, max(below_ms) AS below_ms, sum(orders)::bigint AS orders
FROM dashboard_v1_durations GROUP BY day, step, at_least_ms HAVING sum(orders) <> 0;

COMMENT ON VIEW dashboard_durations IS
    'How long orders took from their creation to a step, as a histogram for each day on which the step was done.';
COMMENT ON COLUMN dashboard_durations.step IS
    'paid: the first payment completed. shipped: the first shipment. delivered: the last delivery of all.';
COMMENT ON COLUMN dashboard_durations.at_least_ms IS 'The bin''s lower end in milliseconds, itself within the bin.';
COMMENT ON COLUMN dashboard_durations.below_ms IS 'The bin''s upper end in milliseconds, itself outside.';
COMMENT ON COLUMN dashboard_durations.orders IS 'Orders in the bin.';
