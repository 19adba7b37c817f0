-- Processes may keep in memory which products they know. Each change that such a process must hear of is told on the
-- channel millrace_facts: schema, "product" and the id, separated by tabs; without the id for all of them.

CREATE FUNCTION products_tell_change() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    told text := TG_TABLE_SCHEMA || E'\tproduct';
BEGIN
    -- A notification has less than 8000 bytes.
    IF TG_OP <> 'TRUNCATE' THEN
        IF octet_length(OLD.product_id) <= 1000 THEN
            told := told || E'\t' || OLD.product_id;
        END IF;
    END IF;
    PERFORM pg_notify('millrace_facts', told);
    RETURN NULL;
END $$;

CREATE TRIGGER products_changed AFTER UPDATE ON products FOR EACH ROW
    WHEN ((OLD.product_id, OLD.tenant_id, OLD.status) IS DISTINCT FROM (NEW.product_id, NEW.tenant_id, NEW.status))
    EXECUTE FUNCTION products_tell_change();
CREATE TRIGGER products_deleted AFTER DELETE ON products FOR EACH ROW EXECUTE FUNCTION products_tell_change();
CREATE TRIGGER products_truncated AFTER TRUNCATE ON products FOR EACH STATEMENT EXECUTE FUNCTION products_tell_change();
