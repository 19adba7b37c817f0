-- The stock of products, as the commands of inventory keep it.

CREATE TABLE inventory (
    product_id    text PRIMARY KEY,
    tenant_id     text,
    on_hand       bigint NOT NULL,
    reserved      bigint NOT NULL,
    version       bigint NOT NULL CHECK (version > 0),
    updated_at    timestamptz NOT NULL,
    last_event_id uuid NOT NULL,
    CONSTRAINT inventory_available CHECK (reserved BETWEEN 0 AND on_hand)
) WITH (fillfactor = 80);

CREATE TABLE inventory_reservations (
    product_id text NOT NULL REFERENCES inventory,
    order_id   text NOT NULL,
    quantity   bigint NOT NULL CHECK (quantity > 0),
    PRIMARY KEY (product_id, order_id)
);
CREATE INDEX inventory_reservations_order ON inventory_reservations (order_id);

COMMENT ON TABLE inventory IS 'The stock of each product; available is on_hand less reserved';
COMMENT ON COLUMN inventory.tenant_id IS 'Whose stock it is, where tenants are told apart';
COMMENT ON COLUMN inventory.on_hand IS 'Pieces that are there, whether reserved or not';
COMMENT ON COLUMN inventory.version IS 'The sequence of the last event';
COMMENT ON TABLE inventory_reservations IS 'Pieces of a product that are kept for an order; no row for none';
