-- The same as in set `outbox`. A row can be set aside whatever is in it: also without the columns that an event must have.
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

-- A row that is deleted by the transaction that inserted it was never there for anybody else. Debezium reads it from the
-- write-ahead log; the relay reads the table. With this trigger the row stays, and the relay removes it once it is
-- published. The service's DELETE reports one row, as before.
CREATE FUNCTION millrace_keep_outbox_row() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    current_id bigint := txid_current();
    -- The row's 32-bit transaction id, in the epoch of the current one.
    inserted_by bigint := (current_id & ~4294967295::bigint) | OLD.xmin::text::bigint;
    names text;
    taken text;
BEGIN
    IF inserted_by > current_id + 2147483648 THEN
        inserted_by := inserted_by - 4294967296;
    END IF;
    -- A row that is visible here although its transaction is in progress is of this very transaction.
    IF txid_status(inserted_by) = 'in progress' THEN
        SELECT string_agg(format('%I', attname), ', '), string_agg(format('($1).%I', attname), ', ')
        INTO names, taken FROM pg_attribute
        WHERE attrelid = TG_RELID AND attnum > 0 AND NOT attisdropped AND attgenerated = '';
        EXECUTE format(
            'INSERT INTO %s (%s) OVERRIDING SYSTEM VALUE SELECT %s', TG_RELID::regclass, names, taken) USING OLD;
    END IF;
    RETURN NULL;
END
$$;

CREATE FUNCTION millrace_keep_outbox_rows(outbox regclass) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('DROP TRIGGER IF EXISTS millrace_keep_outbox_row ON %s', outbox);
    EXECUTE format(
        'CREATE TRIGGER millrace_keep_outbox_row AFTER DELETE ON %s FOR EACH ROW '
        'EXECUTE FUNCTION millrace_keep_outbox_row()', outbox);
END
$$;

COMMENT ON FUNCTION millrace_keep_outbox_rows(regclass) IS
    'Keeps rows that their own transaction deletes, for the relay to publish: calling it again does nothing';
