-- The read model order_summary, version 1: one row an order, made of the facts that events tell of it.
--
-- Each fact is one column of a composite type that begins with the instant and the id of the event that told it.
-- PostgreSQL compares composites field by field, so GREATEST(ours, theirs) is the fact of the later event, and NULL
-- where nobody knows of one yet. Merging two rows is GREATEST in every column: commutative, associative and
-- idempotent, so that events of different topics, written by different processes in whatever order, make the same
-- row.
--
-- Texts compare by bytes (COLLATE "C"): they are identities, not words.

CREATE TYPE order_summary_v1_created AS (
    at timestamptz, event_id uuid, customer_id text COLLATE "C", currency text COLLATE "C", shipping_address jsonb
);
CREATE TYPE order_summary_v1_cancelled AS (
    at timestamptz, event_id uuid, reason text COLLATE "C", cancelled_by text COLLATE "C"
);
-- detail: the method of a payment that was completed, the reason of one that failed or was refunded.
CREATE TYPE order_summary_v1_payment AS (
    at timestamptz, event_id uuid, payment_id text COLLATE "C", amount numeric, currency text COLLATE "C",
    detail text COLLATE "C"
);
CREATE TYPE order_summary_v1_shipped AS (
    at timestamptz, event_id uuid, shipment_id text COLLATE "C", carrier text COLLATE "C",
    tracking_number text COLLATE "C"
);
CREATE TYPE order_summary_v1_delivered AS (at timestamptz, event_id uuid, shipment_id text COLLATE "C");

-- The columns' order is the order of a record's fields on the wire. An update that changes nothing indexed, and finds
-- room on its page, leaves the indexes alone (HOT). So the status is not indexed itself: that cost more than all the
-- rest of an update. is_open is, which changes once in an order's life, and the time; among the open ones, and among
-- the latest of the others, a status is found by looking.
CREATE TABLE order_summary_v1 (
    order_id text COLLATE "C" PRIMARY KEY,
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
    created order_summary_v1_created,
    cancelled order_summary_v1_cancelled,
    paid order_summary_v1_payment,
    failed order_summary_v1_payment,
    refunded order_summary_v1_payment,
    shipped order_summary_v1_shipped,
    delivered order_summary_v1_delivered,
    -- A payment that was made stays made when another one fails. A refund undoes the payment that it is of, and any
    -- older one.
    payment_status text COLLATE "C" NOT NULL GENERATED ALWAYS AS (
        CASE
            WHEN (refunded).at IS NOT NULL AND ((paid).at IS NULL
                OR (refunded).payment_id = (paid).payment_id OR (refunded).at >= (paid).at) THEN 'refunded'
            WHEN (paid).at IS NOT NULL THEN 'paid'
            WHEN (failed).at IS NOT NULL THEN 'failed'
            ELSE 'pending'
        END
    ) STORED,
    -- The delivery of an earlier shipment does not deliver a later one.
    shipment_status text COLLATE "C" NOT NULL GENERATED ALWAYS AS (
        CASE
            WHEN (delivered).at IS NOT NULL AND ((shipped).at IS NULL
                OR (delivered).shipment_id = (shipped).shipment_id OR (delivered).at >= (shipped).at) THEN 'delivered'
            WHEN (shipped).at IS NOT NULL THEN 'shipped'
            ELSE 'pending'
        END
    ) STORED,
    -- How far the order has come. 'incomplete': others told of it before OrderCreated came.
    status text COLLATE "C" NOT NULL GENERATED ALWAYS AS (
        CASE
            WHEN (created).at IS NULL THEN 'incomplete'
            WHEN (cancelled).at IS NOT NULL THEN 'cancelled'
            WHEN (delivered).at IS NOT NULL AND ((shipped).at IS NULL
                OR (delivered).shipment_id = (shipped).shipment_id OR (delivered).at >= (shipped).at) THEN 'delivered'
            WHEN (shipped).at IS NOT NULL THEN 'shipped'
            WHEN (paid).at IS NOT NULL AND ((refunded).at IS NULL
                OR ((refunded).payment_id <> (paid).payment_id AND (refunded).at < (paid).at)) THEN 'paid'
            WHEN confirmed_at IS NOT NULL THEN 'confirmed'
            ELSE 'created'
        END
    ) STORED,
    -- Whether more is to come: neither cancelled nor delivered.
    is_open boolean NOT NULL GENERATED ALWAYS AS (
        (created).at IS NULL OR (cancelled).at IS NULL AND ((delivered).at IS NULL OR (shipped).at IS NOT NULL
            AND (delivered).shipment_id <> (shipped).shipment_id AND (delivered).at < (shipped).at)
    ) STORED
) WITH (fillfactor = 50);

CREATE INDEX order_summary_v1_by_customer ON order_summary_v1 (((created).customer_id), ((created).at));
CREATE INDEX order_summary_v1_by_status ON order_summary_v1 (is_open, ((created).at));
CREATE INDEX order_summary_v1_by_amount ON order_summary_v1 (total_amount);

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
FROM order_summary_v1;
