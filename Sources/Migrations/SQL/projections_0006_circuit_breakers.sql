-- The counts that open a projection's circuit breakers: one for each partition and kind of failure. They replace the one
-- count of a whole projection; a count that is above zero at this moment begins anew.

CREATE TABLE circuit_breakers (
    projection_id smallint NOT NULL REFERENCES projections (id) ON DELETE CASCADE,
    topic text NOT NULL,
    partition int NOT NULL,
    -- Empty, with an empty event_type: events of any kind that were parked with none applied in between.
    error_class text NOT NULL,
    event_type text NOT NULL,
    -- Events parked since one of this type was applied in this partition.
    failures int NOT NULL CHECK (failures > 0),
    -- Since then nothing more is parked for it; NULL: it is closed.
    opened_at timestamptz,
    updated_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (projection_id, topic, partition, error_class, event_type)
) WITH (fillfactor = 50);

-- Who released a circuit breaker, when and why.
CREATE TABLE circuit_breaker_releases (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    projection_id smallint NOT NULL REFERENCES projections (id) ON DELETE CASCADE,
    topic text NOT NULL,
    partition int NOT NULL,
    error_class text NOT NULL,
    event_type text NOT NULL,
    failures int NOT NULL,
    opened_at timestamptz NOT NULL,
    released_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    released_by text NOT NULL,
    reason text NOT NULL
);

ALTER TABLE projections DROP COLUMN failures_in_a_row, RESET (fillfactor);
