-- The last sequence of the demo shop's products, stocks and customers, which have no tables of their own: their state is
-- in their events.
CREATE TABLE shop_aggregates (
    aggregate_type text NOT NULL,
    aggregate_id text NOT NULL,
    last_sequence bigint NOT NULL CHECK (last_sequence > 0),
    PRIMARY KEY (aggregate_type, aggregate_id)
) WITH (fillfactor = 70);
