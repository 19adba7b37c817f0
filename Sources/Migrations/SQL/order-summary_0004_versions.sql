-- The read model order_summary becomes version 1 in a schema of its own, whose names have no number: a rebuild makes
-- the same tables in another schema. The view order_summary stays where it is and shows the live version.
--
-- Programs of before this migration fail to write rows, and say so: stop order-summary-projection before it, and start
-- the new one after it. Readers of the view may go on.

SELECT millrace_adopt_version('order-summary', 'order_summary_v1');

-- What is there is renamed where it is now.
DO $$
DECLARE
    version_schema text := millrace_version_schema('order-summary', 1);
    item record;
BEGIN
    FOR item IN
        SELECT c.relname AS old, CASE c.relkind WHEN 'i' THEN 'INDEX' WHEN 'r' THEN 'TABLE' ELSE 'TYPE' END AS kind,
            CASE c.relname WHEN 'order_summary_v1' THEN 'order_summary_rows'
                ELSE replace(c.relname, 'order_summary_v1', 'order_summary') END AS new
        FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
        WHERE n.nspname = version_schema AND c.relkind IN ('r', 'c', 'i')
            AND starts_with(c.relname, 'order_summary_v1')
        UNION ALL
        SELECT s.stxname, 'STATISTICS', replace(s.stxname, 'order_summary_v1', 'order_summary')
        FROM pg_statistic_ext AS s JOIN pg_namespace AS n ON n.oid = s.stxnamespace WHERE n.nspname = version_schema
    LOOP
        EXECUTE format('ALTER %s %I.%I RENAME TO %I', item.kind, version_schema, item.old, item.new);
    END LOOP;
END
$$;
