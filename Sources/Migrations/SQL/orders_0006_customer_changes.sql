-- Processes may keep in memory which customers they know. Each change that such a process must hear of is told on the
-- channel millrace_facts: schema, "customer" and the id, separated by tabs; without the id for all of them.

CREATE FUNCTION customers_tell_change() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    told text := TG_TABLE_SCHEMA || E'\tcustomer';
BEGIN
    -- A notification has less than 8000 bytes.
    IF TG_OP <> 'TRUNCATE' THEN
        IF octet_length(OLD.customer_id) <= 1000 THEN
            told := told || E'\t' || OLD.customer_id;
        END IF;
    END IF;
    PERFORM pg_notify('millrace_facts', told);
    RETURN NULL;
END $$;

CREATE TRIGGER customers_changed AFTER UPDATE ON customers FOR EACH ROW
    WHEN ((OLD.customer_id, OLD.tenant_id, OLD.status) IS DISTINCT FROM (NEW.customer_id, NEW.tenant_id, NEW.status))
    EXECUTE FUNCTION customers_tell_change();
CREATE TRIGGER customers_deleted AFTER DELETE ON customers FOR EACH ROW EXECUTE FUNCTION customers_tell_change();
CREATE TRIGGER customers_truncated AFTER TRUNCATE ON customers FOR EACH STATEMENT EXECUTE FUNCTION customers_tell_change();
