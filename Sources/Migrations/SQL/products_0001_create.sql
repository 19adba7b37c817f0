-- The catalogue, as the commands of products keep it.

CREATE TABLE products (
    product_id    text PRIMARY KEY,
    tenant_id     text,
    details       json NOT NULL,
    price         numeric NOT NULL CHECK (price >= 0),
    currency      text NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
    status        text NOT NULL CHECK (status IN ('listed', 'retired')),
    version       bigint NOT NULL CHECK (version > 0),
    updated_at    timestamptz NOT NULL,
    last_event_id uuid NOT NULL
);

COMMENT ON TABLE products IS 'The products of the catalogue, retired ones included';
COMMENT ON COLUMN products.tenant_id IS 'The tenant of the product, if tenants are told apart';
COMMENT ON COLUMN products.details IS 'Name, description, category, tags and image, as in ProductChanged';
COMMENT ON COLUMN products.version IS 'The sequence of the last event';
