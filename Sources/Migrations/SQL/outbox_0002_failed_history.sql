-- A row can be set aside whatever is in it: also without the columns that an event must have.
ALTER TABLE outbox_failed ALTER COLUMN event_id DROP NOT NULL;
ALTER TABLE outbox_failed ALTER COLUMN aggregate_type DROP NOT NULL;
ALTER TABLE outbox_failed ADD COLUMN IF NOT EXISTS source_id text;
ALTER TABLE outbox_failed ADD COLUMN IF NOT EXISTS state_by text;
ALTER TABLE outbox_failed ADD COLUMN IF NOT EXISTS state_at timestamptz;

COMMENT ON COLUMN outbox_failed.original IS 'The whole row, where the outbox is of another layout or a column did not fit';
COMMENT ON COLUMN outbox_failed.source_id IS 'The id as a table of another layout has it';
COMMENT ON COLUMN outbox_failed.state_note IS 'Why an operator discarded the row; state_by and state_at say who and when';

-- What operators did with rows that were set aside.
CREATE TABLE IF NOT EXISTS outbox_failed_history (
    entry bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id bigint NOT NULL,
    at timestamptz NOT NULL DEFAULT now(),
    action text NOT NULL CHECK (action IN ('retry', 'discard', 'replaced')),
    actor text NOT NULL,
    reason text NOT NULL,
    row json
);

CREATE INDEX IF NOT EXISTS outbox_failed_history_id ON outbox_failed_history (id);

COMMENT ON TABLE outbox_failed_history IS 'Who retried or discarded which row of outbox_failed, when and why';
COMMENT ON COLUMN outbox_failed_history.row IS 'The row of outbox_failed as it was, where it has left that table';
