-- Folders of SQL get the same versions as the other read models: one is live, one may be built beside it. Readers have
-- views that always show the live version, in a schema that keeps its name.

-- Until now the lowest version was the live one. Of several higher ones the highest is the one that is being built.
INSERT INTO projection_versions (name, version, schema_name, structure, state, started_at, started_by, promoted_at)
SELECT name, version, schema_name, version,
    CASE version
        WHEN min(version) OVER (PARTITION BY name) THEN 'live'
        WHEN max(version) OVER (PARTITION BY name) THEN 'building'
        ELSE 'superseded'
    END,
    created_at, created_by,
    CASE version WHEN min(version) OVER (PARTITION BY name) THEN clock_timestamp() END
FROM sql_projections
ON CONFLICT DO NOTHING;

-- Such a version has begun at the start of the topics. It may be promoted when it has what the live one has now.
INSERT INTO rebuild_ranges (name, version, topic, partition, start_offset, end_offset)
SELECT building.name, building.version, o.topic, o.partition, 0, o.next_offset
FROM sql_projections AS s
JOIN projection_versions AS building USING (name, version)
JOIN projection_versions AS live ON live.name = s.name AND live.state = 'live'
JOIN projections AS p ON p.name = live.name AND p.version = live.version
JOIN projection_offsets AS o ON o.projection_id = p.id
WHERE building.state = 'building';

-- The schemas with the views.
CREATE TABLE sql_projection_views (
    name text PRIMARY KEY,
    schema_name text NOT NULL UNIQUE
);

-- The schema with the views of a projection, which is made at the first call: customer_orders of customer-orders, or
-- customer_orders_live where somebody else has a schema of that name.
CREATE FUNCTION millrace_sql_view_schema(projection text) RETURNS text
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
    known text := (SELECT schema_name FROM sql_projection_views WHERE name = projection);
    wanted text := replace(projection, '-', '_');
BEGIN
    IF known IS NOT NULL THEN
        RETURN known;
    END IF;
    IF EXISTS (SELECT FROM pg_namespace WHERE nspname = wanted) THEN
        wanted := wanted || '_live';
    END IF;
    EXECUTE format('CREATE SCHEMA %I', wanted);
    INSERT INTO sql_projection_views (name, schema_name) VALUES (projection, wanted);
    RETURN wanted;
END
$$;

-- Who may use a version's schema may use that of the views, and who may read a table may read its view.
CREATE FUNCTION millrace_let_read_sql_views(view_schema text, version_schema text) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    statement text;
BEGIN
    FOR statement IN
        SELECT format('GRANT USAGE ON SCHEMA %I TO %s', view_schema,
            CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE a.grantee::regrole::text END)
        FROM pg_namespace AS n CROSS JOIN LATERAL aclexplode(n.nspacl) AS a
        WHERE n.nspname = version_schema AND a.privilege_type = 'USAGE' AND a.grantee <> n.nspowner
        UNION ALL
        SELECT format('GRANT SELECT ON %I.%I TO %s', view_schema, v.relname,
            CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE a.grantee::regrole::text END)
        FROM pg_class AS t CROSS JOIN LATERAL aclexplode(t.relacl) AS a
        JOIN pg_class AS v ON v.relname = t.relname AND v.relkind = 'v'
            AND v.relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = view_schema)
        WHERE t.relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = version_schema)
            AND t.relkind IN ('r', 'p', 'v', 'm', 'f') AND a.privilege_type = 'SELECT' AND a.grantee <> t.relowner
    LOOP
        EXECUTE statement;
    END LOOP;
END
$$;

-- Shows a version's tables and views in the place of those of another version, or for the first time. A view whose
-- columns are others is made anew, and everybody keeps the rights on it; one that the version lacks is dropped.
CREATE FUNCTION millrace_show_sql_version(projection text, version_schema text) RETURNS void
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
    view_schema text := millrace_sql_view_schema(projection);
    keeper text := (SELECT nspowner::regrole::text FROM pg_namespace WHERE nspname = view_schema);
    statement text;
    statements text[];
    item record;
BEGIN
    FOR item IN
        SELECT v.relname AS name FROM pg_class AS v
        WHERE v.relkind = 'v' AND v.relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = view_schema)
            AND NOT EXISTS (
                SELECT FROM pg_class AS t
                WHERE t.relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = version_schema)
                    AND t.relkind IN ('r', 'p', 'v', 'm', 'f') AND t.relname = v.relname)
        ORDER BY v.relname
    LOOP
        EXECUTE format('DROP VIEW %I.%I', view_schema, item.name);
    END LOOP;
    FOR item IN
        SELECT t.relname AS name, v.oid AS view, v.relacl AS rights, v.relowner AS owner FROM pg_class AS t
        LEFT JOIN pg_class AS v ON v.relname = t.relname AND v.relkind = 'v'
            AND v.relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = view_schema)
        WHERE t.relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = version_schema)
            AND t.relkind IN ('r', 'p', 'v', 'm', 'f') AND NOT t.relispartition AND t.relname <> 'millrace_sequences'
        ORDER BY t.relname
    LOOP
        BEGIN
            EXECUTE format('CREATE OR REPLACE VIEW %I.%I AS SELECT * FROM %I.%I',
                view_schema, item.name, version_schema, item.name);
        EXCEPTION WHEN invalid_table_definition THEN
            statements := ARRAY(
                SELECT format('GRANT %s ON %I.%I TO %s', a.privilege_type, view_schema, item.name,
                    CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE a.grantee::regrole::text END)
                FROM aclexplode(item.rights) AS a WHERE a.grantee <> item.owner);
            EXECUTE format('DROP VIEW %I.%I', view_schema, item.name);
            EXECUTE format('CREATE VIEW %I.%I AS SELECT * FROM %I.%I',
                view_schema, item.name, version_schema, item.name);
            FOREACH statement IN ARRAY statements LOOP
                EXECUTE statement;
            END LOOP;
            item.view := NULL;
        END;
        -- The views belong to whoever keeps them, also when another user promotes.
        IF item.view IS NULL AND keeper <> quote_ident(current_user) THEN
            EXECUTE format('ALTER VIEW %I.%I OWNER TO %s', view_schema, item.name, keeper);
        END IF;
    END LOOP;
    PERFORM millrace_let_read_sql_views(view_schema, version_schema);
END
$$;
