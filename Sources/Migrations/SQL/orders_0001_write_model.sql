-- The demo shop's write model. Money is numeric; each aggregate counts its events in `version`, and its last event's
-- id and time stay with it, so that the read model can be checked to the last column.

CREATE TABLE customers (
    customer_id text PRIMARY KEY,
    name        text NOT NULL,
    email       text NOT NULL,
    country     text NOT NULL
);

CREATE TABLE orders (
    order_id         text PRIMARY KEY,
    customer_id      text NOT NULL REFERENCES customers,
    status           text NOT NULL CHECK (status IN ('created', 'confirmed', 'cancelled')),
    currency         text NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
    total_amount     numeric NOT NULL CHECK (total_amount >= 0),
    shipping_address json NOT NULL,
    version          bigint NOT NULL CHECK (version > 0),
    created_at       timestamptz NOT NULL,
    confirmed_at     timestamptz,
    cancelled_at     timestamptz,
    cancel_reason    text,
    cancelled_by     text,
    updated_at       timestamptz NOT NULL,
    last_event_id    uuid NOT NULL
);

CREATE TABLE order_items (
    order_id   text NOT NULL REFERENCES orders,
    product_id text NOT NULL,
    name       text NOT NULL,
    quantity   int NOT NULL CHECK (quantity > 0),
    unit_price numeric NOT NULL CHECK (unit_price >= 0),
    PRIMARY KEY (order_id, product_id)
);

-- A payment may fail several times and be completed after all: the last failure is kept.
CREATE TABLE payments (
    payment_id         text PRIMARY KEY,
    order_id           text NOT NULL REFERENCES orders,
    status             text NOT NULL CHECK (status IN ('failed', 'completed', 'refunded')),
    amount             numeric NOT NULL CHECK (amount >= 0),
    currency           text NOT NULL,
    version            bigint NOT NULL CHECK (version > 0),
    method             text,
    completed_at       timestamptz,
    completed_event_id uuid,
    failed_at          timestamptz,
    failed_event_id    uuid,
    failure_reason     text,
    refunded_at        timestamptz,
    refunded_event_id  uuid,
    refund_reason      text,
    updated_at         timestamptz NOT NULL,
    last_event_id      uuid NOT NULL
);
CREATE INDEX payments_order ON payments (order_id);

CREATE TABLE shipments (
    shipment_id        text PRIMARY KEY,
    order_id           text NOT NULL REFERENCES orders,
    status             text NOT NULL CHECK (status IN ('created', 'delivered')),
    carrier            text NOT NULL,
    tracking_number    text NOT NULL,
    version            bigint NOT NULL CHECK (version > 0),
    created_at         timestamptz NOT NULL,
    created_event_id   uuid NOT NULL,
    delivered_at       timestamptz,
    delivered_event_id uuid,
    updated_at         timestamptz NOT NULL,
    last_event_id      uuid NOT NULL
);
CREATE INDEX shipments_order ON shipments (order_id);

-- Each run of the load takes a number of its own, which goes into its order ids.
CREATE SEQUENCE load_runs;
