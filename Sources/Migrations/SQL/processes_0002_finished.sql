-- Finds finished processes by the time of their end, for their deletion.
CREATE INDEX processes_finished ON processes (process, updated_at) WHERE is_finished;
