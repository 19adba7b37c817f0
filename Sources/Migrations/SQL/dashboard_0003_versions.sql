-- The read model of the dashboard becomes version 1 in a schema of its own, whose names have no number: a rebuild makes
-- the same tables in another schema. The views stay where they are and show the live version.
--
-- Programs of before this migration fail to write rows, and say so: stop dashboard-projection before it, and start
-- the new one after it. Readers of the views may go on.

SELECT millrace_adopt_version('dashboard', 'dashboard_v1_');

-- What is there is renamed where it is now: dashboard_v1_orders becomes dashboard_order_rows.
DO $$
DECLARE
    version_schema text := millrace_version_schema('dashboard', 1);
    item record;
BEGIN
    FOR item IN
        SELECT c.relname AS old, CASE c.relkind WHEN 'i' THEN 'INDEX' ELSE 'TABLE' END AS kind,
            CASE c.relkind
                WHEN 'i' THEN replace(c.relname, 'dashboard_v1_', 'dashboard_')
                ELSE 'dashboard_' || CASE c.relname WHEN 'dashboard_v1_statuses' THEN 'status'
                    ELSE rtrim(replace(c.relname, 'dashboard_v1_', ''), 's') END || '_rows'
            END AS new
        FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
        WHERE n.nspname = version_schema AND c.relkind IN ('r', 'i') AND starts_with(c.relname, 'dashboard_v1_')
    LOOP
        EXECUTE format('ALTER %s %I.%I RENAME TO %I', item.kind, version_schema, item.old, item.new);
    END LOOP;
END
$$;
