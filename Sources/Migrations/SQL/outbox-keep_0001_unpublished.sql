-- With retention = "keep", published rows stay: the relay finds the others by this index alone.
CREATE INDEX outbox_unpublished ON outbox (id) WHERE published_at IS NULL;
