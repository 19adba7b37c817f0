-- What the commands of orders need beside the shop's own tables.

-- Whose order it is, where tenants are told apart.
ALTER TABLE orders ADD COLUMN tenant_id text;

-- How much a customer may owe in a currency; without a row there is no limit.
CREATE TABLE customer_credit (
    customer_id  text NOT NULL REFERENCES customers,
    currency     text NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
    credit_limit numeric NOT NULL CHECK (credit_limit >= 0),
    PRIMARY KEY (customer_id, currency)
);

-- What a customer owes is a sum over the confirmed orders.
CREATE INDEX orders_owed ON orders (customer_id) WHERE status = 'confirmed';
