-- The order of each list of orders as an index has it, the order's id included: orders with the same time or amount have
-- one place each, and a page begins behind the last one's without reading those before it.
--
-- Lists have no order whose creation is unknown, nor have the indexes: such orders have no amount either, and all of
-- them would stand before the greatest one.

CREATE INDEX order_summary_v1_customer_times ON order_summary_v1 (((created).customer_id), ((created).at), order_id)
    WHERE (created).at IS NOT NULL;
CREATE INDEX order_summary_v1_customer_amounts ON order_summary_v1 (((created).customer_id), total_amount, order_id)
    WHERE (created).at IS NOT NULL;
CREATE INDEX order_summary_v1_times ON order_summary_v1 (is_open, ((created).at), order_id)
    WHERE (created).at IS NOT NULL;
CREATE INDEX order_summary_v1_amounts ON order_summary_v1 (is_open, total_amount, order_id)
    WHERE (created).at IS NOT NULL;

DROP INDEX order_summary_v1_by_customer, order_summary_v1_by_status, order_summary_v1_by_amount;

-- The planner does not use what it knows of a partial index's expressions: it is told of them here.
CREATE STATISTICS order_summary_v1_created_at ON ((created).at) FROM order_summary_v1;
CREATE STATISTICS order_summary_v1_customer_id ON ((created).customer_id) FROM order_summary_v1;
ANALYZE order_summary_v1;
