-- A retry takes effect only while its row is there, and a row knows the last delivery that was handled: what comes twice
-- or late has no effect, be it the event itself or an operator's correction. The row of a discarded event stays, with
-- reason 'discarded' and without a sequence.

ALTER TABLE parked_events ADD COLUMN delivery int NOT NULL DEFAULT 1 CHECK (delivery > 0);
