-- A version of the read model order_summary: run in the version's schema, whose names have no number.
--
-- One row an order, made of the facts that events tell of it. Facts are ordered by the sequence of their aggregate, and
-- payments and shipments are kept one by one. Merging is done in SQL, under the row's lock: facts of payments and
-- shipments are arrays, of which those of the same aggregate and fate are reduced to the one of the greatest
-- (sequence, at, event_id). What is shown of them (paid, failed, refunded, shipped, delivered, the two counts) is made
-- anew from the arrays when they are merged.
--
-- Texts compare by bytes (COLLATE "C"): they are identities, not words.

CREATE TYPE order_summary_created AS (
    at timestamptz, event_id uuid, customer_id text COLLATE "C", currency text COLLATE "C", shipping_address jsonb
);
CREATE TYPE order_summary_cancelled AS (
    at timestamptz, event_id uuid, reason text COLLATE "C", cancelled_by text COLLATE "C"
);
-- detail: the method of a payment that was completed, the reason of one that failed or was refunded.
CREATE TYPE order_summary_payment AS (
    at timestamptz, event_id uuid, payment_id text COLLATE "C", amount numeric, currency text COLLATE "C",
    detail text COLLATE "C"
);
CREATE TYPE order_summary_shipped AS (
    at timestamptz, event_id uuid, shipment_id text COLLATE "C", carrier text COLLATE "C",
    tracking_number text COLLATE "C"
);
CREATE TYPE order_summary_delivered AS (at timestamptz, event_id uuid, shipment_id text COLLATE "C");
-- When an event happened, and its id. The greater moment is the later event.
CREATE TYPE order_summary_moment AS (at timestamptz, event_id uuid);
-- An event's place within its aggregate. sequence: 0 when the event has none.
CREATE TYPE order_summary_stamp AS (sequence bigint, at timestamptz, event_id uuid);
-- fate: completed, failed or refunded. All refunds of a payment are kept, of the others the last.
CREATE TYPE order_summary_payment_fact AS (
    payment_id text COLLATE "C", fate text COLLATE "C", sequence bigint, at timestamptz, event_id uuid, amount numeric,
    currency text COLLATE "C", detail text COLLATE "C"
);
-- fate: created or delivered, the last of each.
CREATE TYPE order_summary_shipment_fact AS (
    shipment_id text COLLATE "C", fate text COLLATE "C", sequence bigint, at timestamptz, event_id uuid,
    carrier text COLLATE "C", tracking_number text COLLATE "C"
);

-- The columns' order is the order of a record's fields on the wire. An update that changes nothing indexed, and finds
-- room on its page, leaves the indexes alone (HOT). So the status is not indexed itself: that cost more than all the
-- rest of an update. is_open is, which changes once in an order's life, and the time; among the open ones, and among
-- the latest of the others, a status is found by looking.
CREATE TABLE order_summary_rows (
    order_id text COLLATE "C" CONSTRAINT order_summary_pkey PRIMARY KEY,
    -- The greatest sequence of the order's own events; 0 before the first one. Writers wait for it to read what they
    -- wrote.
    version bigint NOT NULL,
    -- The latest event of all, of whatever aggregate.
    updated_at timestamptz NOT NULL,
    last_event_id uuid NOT NULL,
    -- Nothing but an instant, so that two of the same are one.
    confirmed_at timestamptz,
    -- The lines, each with the sequence of the event that set it, and the ones removed, which stay known lest an older
    -- event bring them back. NULL before the first event that has lines.
    items jsonb,
    removed_items jsonb,
    -- Pieces, not lines.
    item_count bigint,
    total_amount numeric,
    created order_summary_created,
    cancelled order_summary_cancelled,
    paid order_summary_payment,
    failed order_summary_payment,
    refunded order_summary_payment,
    shipped order_summary_shipped,
    delivered order_summary_delivered,
    -- The order's last event, whose sequence is version; the latest of the last events of its payments; and of its
    -- shipments. updated_at and last_event_id are the latest of the three.
    order_changed order_summary_moment,
    payments_changed order_summary_moment,
    shipments_changed order_summary_moment,
    -- The sequences of the facts in created and cancelled.
    created_sequence bigint NOT NULL DEFAULT 0,
    cancelled_sequence bigint NOT NULL DEFAULT 0,
    -- confirmed_at with its sequence.
    confirmed order_summary_stamp,
    payments order_summary_payment_fact[],
    shipments order_summary_shipment_fact[],
    -- Completed payments that their refunds do not make up for; shipments that are not delivered.
    unrefunded_payments bigint NOT NULL DEFAULT 0,
    undelivered_shipments bigint NOT NULL DEFAULT 0,
    payment_status text COLLATE "C" NOT NULL GENERATED ALWAYS AS (
        CASE
            WHEN (refunded).at IS NOT NULL AND unrefunded_payments = 0 THEN 'refunded'
            WHEN (refunded).at IS NOT NULL THEN 'partially_refunded'
            WHEN (paid).at IS NOT NULL THEN 'paid'
            WHEN (failed).at IS NOT NULL THEN 'failed'
            ELSE 'pending'
        END
    ) STORED,
    shipment_status text COLLATE "C" NOT NULL GENERATED ALWAYS AS (
        CASE
            WHEN (delivered).at IS NOT NULL AND undelivered_shipments = 0 THEN 'delivered'
            WHEN (delivered).at IS NOT NULL THEN 'partially_delivered'
            WHEN (shipped).at IS NOT NULL THEN 'shipped'
            ELSE 'pending'
        END
    ) STORED,
    -- How far the order has come. 'incomplete': others told of it before OrderCreated came. 'paid': at least a part of
    -- what was paid is not refunded.
    status text COLLATE "C" NOT NULL GENERATED ALWAYS AS (
        CASE
            WHEN (created).at IS NULL THEN 'incomplete'
            WHEN (cancelled).at IS NOT NULL THEN 'cancelled'
            WHEN (delivered).at IS NOT NULL AND undelivered_shipments = 0 THEN 'delivered'
            WHEN (delivered).at IS NOT NULL THEN 'partially_delivered'
            WHEN (shipped).at IS NOT NULL THEN 'shipped'
            WHEN (paid).at IS NOT NULL AND ((refunded).at IS NULL OR unrefunded_payments > 0) THEN 'paid'
            WHEN confirmed_at IS NOT NULL THEN 'confirmed'
            ELSE 'created'
        END
    ) STORED,
    -- Whether more is to come: neither cancelled nor delivered.
    is_open boolean NOT NULL GENERATED ALWAYS AS (
        (created).at IS NULL
            OR (cancelled).at IS NULL AND ((delivered).at IS NULL OR undelivered_shipments > 0)
    ) STORED
) WITH (fillfactor = 50);

-- The order of each list of orders as an index has it, the order's id included.
CREATE INDEX order_summary_customer_times ON order_summary_rows (((created).customer_id), ((created).at), order_id)
    WHERE (created).at IS NOT NULL;
CREATE INDEX order_summary_customer_amounts ON order_summary_rows (((created).customer_id), total_amount, order_id)
    WHERE (created).at IS NOT NULL;
CREATE INDEX order_summary_times ON order_summary_rows (is_open, ((created).at), order_id)
    WHERE (created).at IS NOT NULL;
CREATE INDEX order_summary_amounts ON order_summary_rows (is_open, total_amount, order_id)
    WHERE (created).at IS NOT NULL;

-- The planner does not use what it knows of a partial index's expressions: it is told of them here.
CREATE STATISTICS order_summary_created_at ON ((created).at) FROM order_summary_rows;
CREATE STATISTICS order_summary_customer_id ON ((created).customer_id) FROM order_summary_rows;

-- What readers read.
CREATE VIEW order_summary AS
SELECT
    order_id,
    (created).customer_id AS customer_id,
    status,
    payment_status,
    shipment_status,
    is_open,
    item_count,
    total_amount,
    (created).currency AS currency,
    items,
    (created).shipping_address AS shipping_address,
    (cancelled).reason AS cancellation_reason,
    (cancelled).cancelled_by AS cancelled_by,
    (refunded).amount AS refund_amount,
    (refunded).currency AS refund_currency,
    (refunded).detail AS refund_reason,
    COALESCE((paid).payment_id, (refunded).payment_id, (failed).payment_id) AS payment_id,
    (paid).amount AS payment_amount,
    (paid).currency AS payment_currency,
    (paid).detail AS payment_method,
    (failed).payment_id AS failed_payment_id,
    (failed).detail AS payment_failure_reason,
    COALESCE((shipped).shipment_id, (delivered).shipment_id) AS shipment_id,
    (shipped).carrier AS carrier,
    (shipped).tracking_number AS tracking_number,
    (created).at AS created_at,
    confirmed_at,
    (cancelled).at AS cancelled_at,
    (paid).at AS paid_at,
    (failed).at AS payment_failed_at,
    (refunded).at AS refunded_at,
    (shipped).at AS shipped_at,
    (delivered).at AS delivered_at,
    updated_at,
    version,
    last_event_id
FROM order_summary_rows;
