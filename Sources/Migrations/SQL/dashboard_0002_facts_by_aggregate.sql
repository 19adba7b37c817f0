-- The read model of the dashboard: facts are ordered by the sequence of their aggregate, and shipments and refunds are
-- kept one by one, so that an order is delivered when all its shipments are, and refunded when all that was paid is.
--
-- Programs of before this migration fail to write orders, and say so: stop dashboard-projection before it, and start
-- the new one after it. Readers of the views may go on.
--
-- Rows of before have the latest shipment and the latest delivery, and of each payment the latest refund, without
-- sequences: 0, less than any. What they lack, a rebuild from Kafka adds.

ALTER TABLE dashboard_v1_orders
    -- The sequences of OrderCreated, confirmed_at and cancelled_at; 0 when the event had none.
    ADD COLUMN created_sequence bigint NOT NULL DEFAULT 0,
    ADD COLUMN confirmed_sequence bigint NOT NULL DEFAULT 0,
    ADD COLUMN cancelled_sequence bigint NOT NULL DEFAULT 0,
    -- [[shipmentId, created, delivered], …], each fate [sequence, µs since 1970, eventId] or null.
    ADD COLUMN shipments text;
-- payments becomes [[paymentId, completed, failed, refunds], …]: completed and failed are
-- [sequence, µs since 1970, eventId, "amount", currency] or null, refunds is null or an array of such.
UPDATE dashboard_v1_orders AS o SET
    payments = (
        SELECT jsonb_agg(jsonb_build_array(p -> 0,
            CASE WHEN p -> 1 <> 'null' THEN '[0]'::jsonb || (p -> 1) END,
            CASE WHEN p -> 2 <> 'null' THEN '[0]'::jsonb || (p -> 2) END,
            CASE WHEN p -> 3 <> 'null' THEN jsonb_build_array('[0]'::jsonb || (p -> 3)) END) ORDER BY place)::text
        FROM jsonb_array_elements(o.payments::jsonb) WITH ORDINALITY AS payment (p, place)),
    -- A delivery after the latest shipment counted for all that were shipped: it stays so, until events tell more.
    shipments = (
        SELECT jsonb_agg(jsonb_build_array(id, created, delivered) ORDER BY id COLLATE "C")::text
        FROM (
            SELECT shipped_id, jsonb_build_array(0, (extract(epoch FROM shipped_at) * 1000000)::bigint, shipped_event_id),
                CASE WHEN shipped_id = delivered_id OR delivered_at >= shipped_at THEN jsonb_build_array(
                    0, (extract(epoch FROM delivered_at) * 1000000)::bigint, delivered_event_id) END
            WHERE shipped_at IS NOT NULL
            UNION ALL
            SELECT delivered_id, NULL, jsonb_build_array(
                0, (extract(epoch FROM delivered_at) * 1000000)::bigint, delivered_event_id)
            WHERE delivered_at IS NOT NULL AND shipped_id IS DISTINCT FROM delivered_id
        ) AS shipment (id, created, delivered));
ALTER TABLE dashboard_v1_orders
    DROP COLUMN shipped_at, DROP COLUMN shipped_event_id, DROP COLUMN shipped_id,
    DROP COLUMN delivered_at, DROP COLUMN delivered_event_id, DROP COLUMN delivered_id;

-- No other number depends on what has changed: the statuses are counted anew.
DELETE FROM dashboard_v1_statuses;
INSERT INTO dashboard_v1_statuses (status, lane, orders)
SELECT
    CASE
        WHEN created_at IS NULL THEN 'incomplete'
        WHEN cancelled_at IS NOT NULL THEN 'cancelled'
        WHEN parcels.delivered > 0 AND parcels.delivered = parcels.shipped THEN 'delivered'
        WHEN parcels.delivered > 0 THEN 'partially_delivered'
        WHEN parcels.shipped > 0 THEN 'shipped'
        WHEN money.completed > 0 AND (money.refunds = 0 OR money.unrefunded > 0) THEN 'paid'
        WHEN confirmed_at IS NOT NULL THEN 'confirmed'
        ELSE 'created'
    END, 0, count(*)
FROM dashboard_v1_orders AS o
CROSS JOIN LATERAL (
    SELECT count(*), count(*) FILTER (WHERE s -> 2 <> 'null')
    FROM jsonb_array_elements(o.shipments::jsonb) AS shipment (s)) AS parcels (shipped, delivered)
CROSS JOIN LATERAL (
    SELECT count(*) FILTER (WHERE p -> 1 <> 'null'), count(*) FILTER (WHERE p -> 3 <> 'null'),
        count(*) FILTER (WHERE p -> 1 <> 'null' AND (p -> 3 = 'null' OR p -> 3 -> 0 ->> 4 <> p -> 1 ->> 4
            OR (p -> 3 -> 0 ->> 3)::numeric < (p -> 1 ->> 3)::numeric))
    FROM jsonb_array_elements(o.payments::jsonb) AS payment (p)) AS money (completed, refunds, unrefunded)
GROUP BY 1;

COMMENT ON COLUMN dashboard_counters.payments_refunded IS
    'Refunds of payments then; a payment that is refunded in parts counts for each of them.';
