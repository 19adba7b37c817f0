-- The lines of each order. Each line has the values of the latest event about its product. A removed line stays, with
-- quantity 0, so that an earlier event about it does not restore it.
CREATE TABLE order_lines (
    order_id text NOT NULL,
    product_id text NOT NULL,
    sequence bigint NOT NULL,
    name text,
    quantity bigint NOT NULL,
    unit_price numeric NOT NULL,
    currency text,
    PRIMARY KEY (order_id, product_id)
);

-- The orders that were counted. A cancelled order does not count any more.
CREATE TABLE counted_orders (
    order_id text PRIMARY KEY,
    is_cancelled boolean NOT NULL DEFAULT false
);

CREATE TABLE product_stats (
    product_id text NOT NULL,
    currency text NOT NULL,
    name text,
    purchases bigint NOT NULL,
    units bigint NOT NULL,
    revenue numeric NOT NULL,
    last_sold_at timestamptz,
    PRIMARY KEY (product_id, currency)
);
