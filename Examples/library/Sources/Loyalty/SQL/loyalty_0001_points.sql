-- The points of each card.
CREATE TABLE loyalty_points (
    card_id text COLLATE "C" PRIMARY KEY,
    points bigint NOT NULL,
    updated_at timestamptz NOT NULL
);
