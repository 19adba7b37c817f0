-- What the commands of customers need besides the shop's own columns. A customer that the shop has written has version 0.

ALTER TABLE customers
    ADD COLUMN tenant_id text,
    ADD COLUMN status text NOT NULL DEFAULT 'registered' CHECK (status IN ('registered', 'forgotten')),
    ADD COLUMN version bigint NOT NULL DEFAULT 0 CHECK (version >= 0),
    ADD COLUMN updated_at timestamptz,
    ADD COLUMN last_event_id uuid;

COMMENT ON COLUMN customers.tenant_id IS 'The tenant of the customer; NULL for a customer of all';
COMMENT ON COLUMN customers.status IS 'A forgotten customer has no name, no address and no new orders';
COMMENT ON COLUMN customers.version IS 'The sequence of the last event; 0 before the first';
