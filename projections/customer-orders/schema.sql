-- Each topic has its own table, and a view joins the tables when it is read. A value whose event has not arrived yet is
-- NULL there. No event waits for another one. If a customer changes the name, only one row changes, and not all orders.

CREATE TABLE customers (
    customer_id text PRIMARY KEY,
    sequence bigint NOT NULL,
    name text,
    email text
);

CREATE TABLE products (
    product_id text PRIMARY KEY,
    sequence bigint NOT NULL,
    name text,
    image_url text
);

CREATE TABLE stock (
    product_id text PRIMARY KEY,
    sequence bigint NOT NULL,
    available bigint NOT NULL
);

-- The row of an order is created by the first event about it. Each event sets its own columns, so it does not matter
-- which event a batch contains first.
CREATE TABLE orders (
    order_id text PRIMARY KEY,
    customer_id text,
    currency text,
    country text,
    created_at timestamptz,
    confirmed_at timestamptz,
    cancelled_at timestamptz,
    cancellation_reason text,
    sequence bigint NOT NULL
);

CREATE INDEX orders_of_customer ON orders (customer_id, created_at DESC, order_id);

-- A removed line stays, with quantity 0, so that an earlier event about it does not restore it.
CREATE TABLE order_lines (
    order_id text NOT NULL,
    product_id text NOT NULL,
    sequence bigint NOT NULL,
    name text,
    quantity bigint NOT NULL,
    unit_price numeric NOT NULL,
    PRIMARY KEY (order_id, product_id)
);

CREATE VIEW order_items AS
SELECT l.order_id, l.product_id, coalesce(p.name, l.name) AS name, p.image_url, l.quantity, l.unit_price,
    CASE WHEN s.available > 5 THEN 'available' WHEN s.available > 0 THEN 'few left' WHEN s.available <= 0 THEN 'sold out'
        ELSE 'unknown' END AS stock
FROM order_lines AS l
LEFT JOIN products AS p USING (product_id)
LEFT JOIN stock AS s USING (product_id)
WHERE l.quantity > 0;

CREATE VIEW customer_orders AS
SELECT o.order_id, o.customer_id, c.name AS customer_name, c.email AS customer_email, o.created_at, o.currency,
    o.country, o.cancellation_reason, o.sequence,
    CASE WHEN o.cancelled_at IS NOT NULL THEN 'cancelled' WHEN o.confirmed_at IS NOT NULL THEN 'confirmed'
        ELSE 'created' END AS status,
    items.total, items.items
FROM orders AS o
LEFT JOIN customers AS c USING (customer_id)
LEFT JOIN LATERAL (
    SELECT sum(i.quantity * i.unit_price) AS total,
        jsonb_agg(
            jsonb_build_object(
                'productId', i.product_id, 'name', i.name, 'imageUrl', i.image_url, 'stock', i.stock,
                'quantity', i.quantity, 'unitPrice', i.unit_price::text)
            ORDER BY i.product_id) AS items
    FROM order_items AS i WHERE i.order_id = o.order_id
) AS items ON true
WHERE o.created_at IS NOT NULL;
