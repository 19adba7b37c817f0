-- The tables of one version of the read model order_summary. The script runs in the version's schema, so the names
-- contain no version number.
--
-- There is one row for each order. It contains the facts from the events of the order. Facts are ordered by the
-- sequence of their aggregate, and each payment and each shipment has its own facts. SQL merges facts under the row's
-- lock. Facts of payments and shipments are arrays. Of several facts with the same aggregate and fate, only the one
-- with the greatest (sequence, at, event_id) is kept. The columns that show them (paid, failed, refunded, shipped,
-- delivered, the two counts) are computed again from the arrays at each merge.
--
-- Texts are compared by bytes (COLLATE "C"), because they are identifiers.

CREATE TYPE order_summary_created AS (
    at timestamptz, event_id uuid, customer_id text COLLATE "C", currency text COLLATE "C", shipping_address jsonb
);
CREATE TYPE order_summary_cancelled AS (
    at timestamptz, event_id uuid, reason text COLLATE "C", cancelled_by text COLLATE "C"
);
-- detail: the method of a completed payment, or the reason of a failed or refunded one.
CREATE TYPE order_summary_payment AS (
    at timestamptz, event_id uuid, payment_id text COLLATE "C", amount numeric, currency text COLLATE "C",
    detail text COLLATE "C"
);
CREATE TYPE order_summary_shipped AS (
    at timestamptz, event_id uuid, shipment_id text COLLATE "C", carrier text COLLATE "C",
    tracking_number text COLLATE "C"
);
CREATE TYPE order_summary_delivered AS (at timestamptz, event_id uuid, shipment_id text COLLATE "C");
-- The time of an event, and its id. The event with the greater moment is the later one.
CREATE TYPE order_summary_moment AS (at timestamptz, event_id uuid);
-- The position of an event within its aggregate. sequence is 0 if the event has none.
CREATE TYPE order_summary_stamp AS (sequence bigint, at timestamptz, event_id uuid);
-- fate: completed, failed or refunded. All refunds of a payment are kept, but only the last completion and failure.
CREATE TYPE order_summary_payment_fact AS (
    payment_id text COLLATE "C", fate text COLLATE "C", sequence bigint, at timestamptz, event_id uuid, amount numeric,
    currency text COLLATE "C", detail text COLLATE "C"
);
-- fate: created or delivered. Only the last one of each is kept.
CREATE TYPE order_summary_shipment_fact AS (
    shipment_id text COLLATE "C", fate text COLLATE "C", sequence bigint, at timestamptz, event_id uuid,
    carrier text COLLATE "C", tracking_number text COLLATE "C"
);

-- The order of the columns is the order of a record's fields on the wire. An update that changes no indexed column, and
-- finds room on the row's page, changes no index (HOT). Therefore the status is not indexed: its index would cost more
-- than the rest of an update. The indexes contain the time and is_open, which changes once for each order. A list by
-- status filters the open orders, or the latest of the closed ones.
CREATE TABLE order_summary_rows (
    order_id text COLLATE "C" CONSTRAINT order_summary_pkey PRIMARY KEY,
    -- The greatest sequence of the order's own events; 0 before the first one. Clients wait for it to read their own
    -- changes.
    version bigint NOT NULL,
    -- The latest event of all aggregates.
    updated_at timestamptz NOT NULL,
    last_event_id uuid NOT NULL,
    -- Only a time, so two events with the same time are equal.
    confirmed_at timestamptz,
    -- The lines, and the removed lines, each with the sequence of the event that set or removed it. Removed lines are
    -- kept, so that an older event does not restore them. NULL before the first event with lines.
    items jsonb,
    removed_items jsonb,
    -- The number of pieces, not of lines.
    item_count bigint,
    total_amount numeric,
    created order_summary_created,
    cancelled order_summary_cancelled,
    paid order_summary_payment,
    failed order_summary_payment,
    refunded order_summary_payment,
    shipped order_summary_shipped,
    delivered order_summary_delivered,
    -- The order's own last event, whose sequence is version; the latest of the last events of its payments; and the
    -- same for its shipments. updated_at and last_event_id are those of the latest of the three.
    order_changed order_summary_moment,
    payments_changed order_summary_moment,
    shipments_changed order_summary_moment,
    -- The sequences of the facts in created and cancelled.
    created_sequence bigint NOT NULL DEFAULT 0,
    cancelled_sequence bigint NOT NULL DEFAULT 0,
    -- confirmed_at, with the sequence of its event.
    confirmed order_summary_stamp,
    payments order_summary_payment_fact[],
    shipments order_summary_shipment_fact[],
    -- The number of completed payments that refunds do not cover; the number of shipments that are not delivered.
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
    -- 'incomplete': other events arrived before OrderCreated. 'paid': at least a part of a payment is not refunded.
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
    -- Whether the order is neither cancelled nor delivered.
    is_open boolean NOT NULL GENERATED ALWAYS AS (
        (created).at IS NULL
            OR (cancelled).at IS NULL AND ((delivered).at IS NULL OR undelivered_shipments > 0)
    ) STORED
) WITH (fillfactor = 50);

-- One index for the order of each list of orders. It includes the order's id.
CREATE INDEX order_summary_customer_times ON order_summary_rows (((created).customer_id), ((created).at), order_id)
    WHERE (created).at IS NOT NULL;
CREATE INDEX order_summary_customer_amounts ON order_summary_rows (((created).customer_id), total_amount, order_id)
    WHERE (created).at IS NOT NULL;
CREATE INDEX order_summary_times ON order_summary_rows (is_open, ((created).at), order_id)
    WHERE (created).at IS NOT NULL;
CREATE INDEX order_summary_amounts ON order_summary_rows (is_open, total_amount, order_id)
    WHERE (created).at IS NOT NULL;

-- The planner does not use statistics about the expressions of a partial index, so they are created here.
CREATE STATISTICS order_summary_created_at ON ((created).at) FROM order_summary_rows;
CREATE STATISTICS order_summary_customer_id ON ((created).customer_id) FROM order_summary_rows;

-- The view for readers.
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
