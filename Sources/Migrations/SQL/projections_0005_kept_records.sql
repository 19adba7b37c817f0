-- A letter may be too large for its topic for the record's headers or its key as well as for its value. What the letter
-- lacks stands here: 'value'; 'headers', and the value; 'record', and the key, for which the letter has another.

ALTER TABLE parked_events
    ADD COLUMN kept text CHECK (kept IN ('value', 'headers', 'record')),
    ADD COLUMN kept_header_names text[],
    ADD COLUMN kept_header_values bytea[],
    ADD COLUMN kept_key bytea;
