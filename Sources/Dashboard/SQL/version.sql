-- The tables of one version of the read model of the dashboard. The script runs in the version's schema, so the names
-- contain no version number.
--
-- dashboard_order_rows contains the facts of each order in one row. The result of merging facts does not depend on
-- their order or on repetitions. The contribution of an order to the counters is a function of its facts. A transaction
-- locks the rows of its orders, merges the facts of its events, and adds to the counters the new contribution of each
-- order minus the old one. So the counters are always the sum of the contributions of all orders, in whatever order the
-- events arrived.
--
-- Counters have lanes. A transaction takes the lowest free lane, by an advisory lock that it holds until its end, and
-- changes only rows of that lane. A number is the sum over all lanes, which the views below compute. So no transaction
-- waits for the counters of another one, although all of them count in the row of the same day. The number of lanes is
-- the maximum number of transactions at the same time; with one process, it is one. The number of a single lane may be
-- negative.
--
-- Times are the times of the events. Days are days in UTC. Texts are compared by bytes.

-- The order of the columns is the order of a record's fields on the wire. Lines, payments and shipments are JSON, but
-- are stored as text, because they are read and written as a whole. An update that does not change them leaves them
-- out.
CREATE TABLE dashboard_order_rows (
    order_id text COLLATE "C" CONSTRAINT dashboard_orders_pkey PRIMARY KEY,
    -- The values of the latest OrderCreated.
    created_at timestamptz,
    created_event_id uuid,
    customer_id text COLLATE "C",
    currency text COLLATE "C",
    confirmed_at timestamptz,
    cancelled_at timestamptz,
    -- The time of the first shipment.
    first_shipped_at timestamptz,
    -- [[productId, sequence, quantity, "unitPrice", name], …], and [productId, sequence] for a removed line. Removed
    -- lines are kept, so that an older event does not restore them.
    lines text,
    -- [[paymentId, completed, failed, refunds], …]. completed and failed are null or [sequence, µs since 1970, eventId,
    -- "amount", currency]. refunds is null or an array of such arrays.
    payments text,
    -- The sequences of OrderCreated, confirmed_at and cancelled_at; 0 if the event had none.
    created_sequence bigint NOT NULL DEFAULT 0,
    confirmed_sequence bigint NOT NULL DEFAULT 0,
    cancelled_sequence bigint NOT NULL DEFAULT 0,
    -- [[shipmentId, created, delivered], …]. created and delivered are null or [sequence, µs since 1970, eventId].
    shipments text
) WITH (fillfactor = 50);

CREATE TABLE dashboard_counter_rows (
    resolution text COLLATE "C" NOT NULL CHECK (resolution IN ('minute', 'hour', 'day')),
    -- The beginning of the minute, hour or day.
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

-- The time from which minutes and hours are kept. Older ones were deleted, and late events for them count only in the
-- larger buckets. This time only moves forward.
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

-- A histogram for each day and step. Bins below 32 ms are 1 ms wide. Above that, every doubling has 16 bins, so the
-- error of a quantile is less than a sixteenth.
CREATE TABLE dashboard_duration_rows (
    day date NOT NULL,
    step text COLLATE "C" NOT NULL CHECK (step IN ('paid', 'shipped', 'delivered')),
    at_least_ms bigint NOT NULL,
    lane smallint NOT NULL,
    below_ms bigint NOT NULL,
    orders bigint NOT NULL,
    CONSTRAINT dashboard_durations_pkey PRIMARY KEY (day, step, at_least_ms, lane)
) WITH (fillfactor = 50);

-- The views for readers.

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

