-- How many points each card has.
CREATE TABLE loyalty_points (
    card_id text COLLATE "C" PRIMARY KEY,
    points bigint NOT NULL,
    updated_at timestamptz NOT NULL
);
