-- The read model order_summary: facts are ordered by the sequence of their aggregate, and payments and shipments are
-- kept one by one, so that an order is delivered when all its shipments are, and refunded when all that was paid is.
--
-- Programs of before this migration fail to write rows, and say so: stop order-summary-projection before it, and start
-- the new one after it. Readers of the view may go on.
--
-- Merging is done in SQL, under the row's lock, for everything: no writer reads a row and writes it back. Facts of
-- payments and shipments are arrays, of which those of the same aggregate and fate are reduced to the one of the
-- greatest (sequence, at, event_id). What is shown of them (paid, failed, refunded, shipped, delivered, the two counts)
-- is made anew from the arrays when they are merged.
--
-- Rows of before have the latest fact of each kind only, without its sequence: 0, less than any. What they lack, a
-- rebuild from Kafka adds.

-- When an event happened, and its id. The greater moment is the later event.
CREATE TYPE order_summary_v1_moment AS (at timestamptz, event_id uuid);
-- An event's place within its aggregate. sequence: 0 when the event has none.
CREATE TYPE order_summary_v1_stamp AS (sequence bigint, at timestamptz, event_id uuid);
-- fate: completed, failed or refunded. All refunds of a payment are kept, of the others the last.
CREATE TYPE order_summary_v1_payment_fact AS (
    payment_id text COLLATE "C", fate text COLLATE "C", sequence bigint, at timestamptz, event_id uuid, amount numeric,
    currency text COLLATE "C", detail text COLLATE "C"
);
-- fate: created or delivered, the last of each.
CREATE TYPE order_summary_v1_shipment_fact AS (
    shipment_id text COLLATE "C", fate text COLLATE "C", sequence bigint, at timestamptz, event_id uuid,
    carrier text COLLATE "C", tracking_number text COLLATE "C"
);

DROP VIEW order_summary;
DROP INDEX order_summary_v1_by_status;
ALTER TABLE order_summary_v1
    DROP COLUMN payment_status, DROP COLUMN shipment_status, DROP COLUMN status, DROP COLUMN is_open;

ALTER TABLE order_summary_v1
    -- The order's last event, whose sequence is version; the latest of the last events of its payments; and of its
    -- shipments. updated_at and last_event_id are the latest of the three.
    ADD COLUMN order_changed order_summary_v1_moment,
    ADD COLUMN payments_changed order_summary_v1_moment,
    ADD COLUMN shipments_changed order_summary_v1_moment,
    -- The sequences of the facts in created and cancelled.
    ADD COLUMN created_sequence bigint NOT NULL DEFAULT 0,
    ADD COLUMN cancelled_sequence bigint NOT NULL DEFAULT 0,
    -- confirmed_at with its sequence.
    ADD COLUMN confirmed order_summary_v1_stamp,
    ADD COLUMN payments order_summary_v1_payment_fact[],
    ADD COLUMN shipments order_summary_v1_shipment_fact[],
    -- Completed payments that their refunds do not make up for; shipments that are not delivered.
    ADD COLUMN unrefunded_payments bigint NOT NULL DEFAULT 0,
    ADD COLUMN undelivered_shipments bigint NOT NULL DEFAULT 0;

UPDATE order_summary_v1 SET
    order_changed = ROW(updated_at, last_event_id)::order_summary_v1_moment,
    confirmed = CASE WHEN confirmed_at IS NOT NULL THEN
        ROW(0, confirmed_at, '00000000-0000-0000-0000-000000000000')::order_summary_v1_stamp END,
    payments = NULLIF(array_remove(ARRAY[
        CASE WHEN (paid).at IS NOT NULL THEN ROW((paid).payment_id, 'completed', 0, (paid).at, (paid).event_id,
            (paid).amount, (paid).currency, (paid).detail)::order_summary_v1_payment_fact END,
        CASE WHEN (failed).at IS NOT NULL THEN ROW((failed).payment_id, 'failed', 0, (failed).at, (failed).event_id,
            (failed).amount, (failed).currency, (failed).detail)::order_summary_v1_payment_fact END,
        CASE WHEN (refunded).at IS NOT NULL THEN ROW((refunded).payment_id, 'refunded', 0, (refunded).at,
            (refunded).event_id, (refunded).amount, (refunded).currency, (refunded).detail
            )::order_summary_v1_payment_fact END], NULL), '{}'),
    payments_changed = CASE WHEN COALESCE((paid).at, (failed).at, (refunded).at) IS NOT NULL THEN
        ROW((GREATEST(paid, failed, refunded)).at, (GREATEST(paid, failed, refunded)).event_id
            )::order_summary_v1_moment END,
    unrefunded_payments = CASE WHEN (paid).at IS NOT NULL AND ((refunded).at IS NULL
        OR (refunded).payment_id <> (paid).payment_id OR (refunded).currency <> (paid).currency
        OR (refunded).amount < (paid).amount) THEN 1 ELSE 0 END,
    -- A delivery after the latest shipment counted for all that were shipped: it stays so, until events tell more.
    shipments = NULLIF(array_remove(ARRAY[
        CASE WHEN (shipped).at IS NOT NULL THEN ROW((shipped).shipment_id, 'created', 0, (shipped).at,
            (shipped).event_id, (shipped).carrier, (shipped).tracking_number)::order_summary_v1_shipment_fact END,
        CASE WHEN (shipped).shipment_id <> (delivered).shipment_id AND (delivered).at >= (shipped).at THEN
            ROW((shipped).shipment_id, 'delivered', 0, (delivered).at, (delivered).event_id, NULL, NULL
            )::order_summary_v1_shipment_fact END,
        CASE WHEN (delivered).at IS NOT NULL THEN ROW((delivered).shipment_id, 'delivered', 0, (delivered).at,
            (delivered).event_id, NULL, NULL)::order_summary_v1_shipment_fact END], NULL), '{}'),
    shipments_changed = GREATEST(
        CASE WHEN (shipped).at IS NOT NULL THEN ROW((shipped).at, (shipped).event_id)::order_summary_v1_moment END,
        CASE WHEN (delivered).at IS NOT NULL THEN
            ROW((delivered).at, (delivered).event_id)::order_summary_v1_moment END),
    undelivered_shipments = CASE WHEN (shipped).at IS NOT NULL AND ((delivered).at IS NULL
        OR (shipped).shipment_id <> (delivered).shipment_id AND (delivered).at < (shipped).at) THEN 1 ELSE 0 END;

-- The statuses are functions of the facts, and the same as Orders.OrderStatus and its like.
ALTER TABLE order_summary_v1
    ADD COLUMN payment_status text COLLATE "C" NOT NULL GENERATED ALWAYS AS (
        CASE
            WHEN (refunded).at IS NOT NULL AND unrefunded_payments = 0 THEN 'refunded'
            WHEN (refunded).at IS NOT NULL THEN 'partially_refunded'
            WHEN (paid).at IS NOT NULL THEN 'paid'
            WHEN (failed).at IS NOT NULL THEN 'failed'
            ELSE 'pending'
        END
    ) STORED,
    ADD COLUMN shipment_status text COLLATE "C" NOT NULL GENERATED ALWAYS AS (
        CASE
            WHEN (delivered).at IS NOT NULL AND undelivered_shipments = 0 THEN 'delivered'
            WHEN (delivered).at IS NOT NULL THEN 'partially_delivered'
            WHEN (shipped).at IS NOT NULL THEN 'shipped'
            ELSE 'pending'
        END
    ) STORED,
    -- How far the order has come. 'incomplete': others told of it before OrderCreated came. 'paid': at least a part of
    -- what was paid is not refunded.
    ADD COLUMN status text COLLATE "C" NOT NULL GENERATED ALWAYS AS (
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
    ADD COLUMN is_open boolean NOT NULL GENERATED ALWAYS AS (
        (created).at IS NULL
            OR (cancelled).at IS NULL AND ((delivered).at IS NULL OR undelivered_shipments > 0)
    ) STORED;

CREATE INDEX order_summary_v1_by_status ON order_summary_v1 (is_open, ((created).at));

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
