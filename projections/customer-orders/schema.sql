-- One table for what each topic tells, and a view that joins them when somebody reads: whatever is not known yet is NULL
-- there, and is there as soon as its event is. Nothing waits for anything, and a customer who changes the name changes
-- one row instead of all orders.

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

-- A row is there as soon as anything is known of an order. Each fact has columns of its own, so that it does not matter
-- which of them a batch brings first.
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

-- A removed line stays, with quantity 0, so that an earlier event about it cannot bring it back.
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
