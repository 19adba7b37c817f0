-- Processes that react to events with commands: where each one is, when it is due, and which steps it took.

CREATE TABLE processes (
    process        text NOT NULL,
    process_id     text NOT NULL,
    tenant_id      text,
    correlation_id text,
    stage          text NOT NULL,
    is_finished    boolean NOT NULL,
    due_at         timestamptz,
    state_format   integer NOT NULL,
    state          json NOT NULL,
    step_count     bigint NOT NULL CHECK (step_count > 0),
    failed_count   integer NOT NULL DEFAULT 0 CHECK (failed_count >= 0),
    started_at     timestamptz NOT NULL,
    updated_at     timestamptz NOT NULL,
    PRIMARY KEY (process, process_id),
    CONSTRAINT processes_end CHECK (NOT (is_finished AND due_at IS NOT NULL))
) WITH (fillfactor = 80);
CREATE INDEX processes_due ON processes (process, due_at) WHERE due_at IS NOT NULL;
CREATE INDEX processes_open ON processes (process, stage) WHERE NOT is_finished;

COMMENT ON TABLE processes IS 'The state of each process; written in the transaction that executes its commands';
COMMENT ON COLUMN processes.process IS 'The kind of process, order-process for example';
COMMENT ON COLUMN processes.process_id IS 'What the process is about: the id of the order';
COMMENT ON COLUMN processes.due_at IS 'The deadline: the process goes on then, if no event has made it go on before';
COMMENT ON COLUMN processes.step_count IS 'The number of its rows in process_steps';
COMMENT ON COLUMN processes.failed_count IS 'How often handling its deadline has failed since it was handled';

CREATE TABLE process_steps (
    process    text NOT NULL,
    process_id text NOT NULL,
    number     bigint NOT NULL CHECK (number > 0),
    at         timestamptz NOT NULL,
    step       text NOT NULL,
    outcome    text NOT NULL,
    stage      text NOT NULL,
    -- The id first: who asks what became of an order does not know the kinds of processes.
    PRIMARY KEY (process_id, process, number),
    FOREIGN KEY (process, process_id) REFERENCES processes
);

COMMENT ON TABLE process_steps IS 'The history of each process: events, deadlines and answers to its commands';
COMMENT ON COLUMN process_steps.step IS 'The type of an event, the name of a command, or deadline';
COMMENT ON COLUMN process_steps.outcome IS 'taken, accepted, or the rule that refused the command';
COMMENT ON COLUMN process_steps.stage IS 'The stage of the process after the step';
