-- A version of the read model of the dashboard: run in the version's schema, whose names have no number.
--
-- What is known of each order, and numbers counted from it.
--
-- dashboard_order_rows holds the facts of one order in a row, merged by rules that do not mind order nor repetition.
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
CREATE TABLE dashboard_order_rows (
    order_id text COLLATE "C" CONSTRAINT dashboard_orders_pkey PRIMARY KEY,
    -- The latest OrderCreated.
    created_at timestamptz,
    created_event_id uuid,
    customer_id text COLLATE "C",
    currency text COLLATE "C",
    confirmed_at timestamptz,
    cancelled_at timestamptz,
    -- The first shipment.
    first_shipped_at timestamptz,
    -- [[productId, sequence, quantity, "unitPrice", name], …], and [productId, sequence] for a line that was removed,
    -- which stays known lest an older event bring it back.
    lines text,
    -- [[paymentId, completed, failed, refunds], …]: completed and failed are
    -- [sequence, µs since 1970, eventId, "amount", currency] or null, refunds is null or an array of such.
    payments text,
    -- The sequences of OrderCreated, confirmed_at and cancelled_at; 0 when the event had none.
    created_sequence bigint NOT NULL DEFAULT 0,
    confirmed_sequence bigint NOT NULL DEFAULT 0,
    cancelled_sequence bigint NOT NULL DEFAULT 0,
    -- [[shipmentId, created, delivered], …], each fate [sequence, µs since 1970, eventId] or null.
    shipments text
) WITH (fillfactor = 50);

CREATE TABLE dashboard_counter_rows (
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
    CONSTRAINT dashboard_counters_pkey PRIMARY KEY (resolution, bucket, currency, lane)
) WITH (fillfactor = 50);

-- From where on minutes and hours are kept: what is older was dropped, and what comes late for it counts in the larger
-- buckets alone. Moves forward only.
CREATE TABLE dashboard_horizon_rows (
    resolution text COLLATE "C" CONSTRAINT dashboard_horizons_pkey PRIMARY KEY CHECK (resolution IN ('minute', 'hour')),
    kept_from timestamptz NOT NULL
);
INSERT INTO dashboard_horizon_rows VALUES ('minute', '-infinity'), ('hour', '-infinity');

CREATE TABLE dashboard_status_rows (
    status text COLLATE "C" NOT NULL,
    lane smallint NOT NULL,
    orders bigint NOT NULL,
    CONSTRAINT dashboard_statuses_pkey PRIMARY KEY (status, lane)
) WITH (fillfactor = 20);

CREATE TABLE dashboard_product_rows (
    day date NOT NULL,
    currency text COLLATE "C" NOT NULL,
    product_id text COLLATE "C" NOT NULL,
    lane smallint NOT NULL,
    name text COLLATE "C" NOT NULL,
    units bigint NOT NULL,
    revenue numeric NOT NULL,
    CONSTRAINT dashboard_products_pkey PRIMARY KEY (day, currency, product_id, lane)
) WITH (fillfactor = 50);

CREATE TABLE dashboard_customer_rows (
    customer_id text COLLATE "C" NOT NULL,
    currency text COLLATE "C" NOT NULL,
    lane smallint NOT NULL,
    orders bigint NOT NULL,
    cancelled bigint NOT NULL,
    spent numeric NOT NULL,
    refunded numeric NOT NULL,
    last_order_at timestamptz,
    CONSTRAINT dashboard_customers_pkey PRIMARY KEY (customer_id, currency, lane)
) WITH (fillfactor = 50);

-- A histogram a day and step. Bins grow with what they hold: up to 31 ms each is one wide, above that there are 16 to
-- each doubling, so that a quantile read from them is off by less than a sixteenth.
CREATE TABLE dashboard_duration_rows (
    day date NOT NULL,
    step text COLLATE "C" NOT NULL CHECK (step IN ('paid', 'shipped', 'delivered')),
    at_least_ms bigint NOT NULL,
    lane smallint NOT NULL,
    below_ms bigint NOT NULL,
    orders bigint NOT NULL,
    CONSTRAINT dashboard_durations_pkey PRIMARY KEY (day, step, at_least_ms, lane)
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
FROM dashboard_counter_rows AS c
WHERE c.resolution = 'day'
    OR c.bucket >= (SELECT h.kept_from FROM dashboard_horizon_rows AS h WHERE h.resolution = c.resolution)
GROUP BY c.resolution, c.bucket, c.currency
HAVING sum(c.orders_created) <> 0 OR sum(c.orders_confirmed) <> 0 OR sum(c.orders_paid) <> 0
    OR sum(c.orders_delivered) <> 0 OR sum(c.orders_cancelled) <> 0 OR sum(c.payments_completed) <> 0
    OR sum(c.payments_failed) <> 0 OR sum(c.payments_refunded) <> 0;

CREATE VIEW dashboard_horizons AS SELECT resolution, kept_from FROM dashboard_horizon_rows;

CREATE VIEW dashboard_statuses AS
SELECT status, sum(orders)::bigint AS orders
FROM dashboard_status_rows GROUP BY status HAVING sum(orders) <> 0;

CREATE VIEW dashboard_products AS
SELECT day, currency, product_id, max(name) AS name, sum(units)::bigint AS units, sum(revenue) AS revenue
FROM dashboard_product_rows GROUP BY day, currency, product_id HAVING sum(units) <> 0;

CREATE VIEW dashboard_customers AS
SELECT customer_id, currency, sum(orders)::bigint AS orders, sum(cancelled)::bigint AS cancelled,
    sum(spent) AS spent, sum(refunded) AS refunded, max(last_order_at) AS last_order_at
FROM dashboard_customer_rows GROUP BY customer_id, currency
HAVING sum(orders) <> 0 OR sum(spent) <> 0 OR sum(refunded) <> 0;

CREATE VIEW dashboard_durations AS
SELECT day, step, at_least_ms, max(below_ms) AS below_ms, sum(orders)::bigint AS orders
FROM dashboard_duration_rows GROUP BY day, step, at_least_ms HAVING sum(orders) <> 0;

