-- Versions of read models: each is a schema of its own, with all its tables under names without a number. The views in
-- this schema show the live version, so that readers need not know of versions.

CREATE TABLE projection_versions (
    name text NOT NULL,
    version int NOT NULL CHECK (version > 0),
    schema_name text NOT NULL UNIQUE,
    -- Which definition of the tables made the schema: a program runs the versions of its own definition.
    structure int NOT NULL CHECK (structure > 0),
    -- building: filled beside the live version, and not shown. live: shown by the views, and kept by the daemons.
    -- superseded: another version took its place; nobody keeps it, and it waits to be dropped.
    state text NOT NULL CHECK (state IN ('building', 'live', 'superseded')),
    -- Most records a second that a rebuild may apply; NULL for any number.
    records_per_second int CHECK (records_per_second > 0),
    started_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    started_by text NOT NULL DEFAULT session_user,
    -- When a verification of this version found no difference last.
    verified_at timestamptz,
    promoted_at timestamptz,
    PRIMARY KEY (name, version)
);
CREATE UNIQUE INDEX projection_versions_live ON projection_versions (name) WHERE state = 'live';
CREATE UNIQUE INDEX projection_versions_building ON projection_versions (name) WHERE state = 'building';

-- From where to where a rebuild reads: the ends are those of the moment in which it was started.
CREATE TABLE rebuild_ranges (
    name text NOT NULL,
    version int NOT NULL,
    topic text NOT NULL,
    partition int NOT NULL CHECK (partition >= 0),
    start_offset bigint NOT NULL CHECK (start_offset >= 0),
    end_offset bigint NOT NULL,
    PRIMARY KEY (name, version, topic, partition),
    FOREIGN KEY (name, version) REFERENCES projection_versions ON DELETE CASCADE
);

-- Consumers that an operator has paused: they take nothing until they are resumed.
CREATE TABLE paused_consumers (
    consumer text PRIMARY KEY,
    paused_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    paused_by text NOT NULL,
    reason text NOT NULL
);

-- What operators decided about single events, for all versions to come of a read model: a rebuild leaves out what was
-- discarded, and applies a corrected value in the place of the record's own. Rows outlive the version whose event it
-- was, and the letter.
CREATE TABLE event_decisions (
    consumer text NOT NULL,
    topic text NOT NULL,
    partition int NOT NULL,
    record_offset bigint NOT NULL,
    -- Milliseconds, as the record says; NULL: not known, and then of any record there.
    record_timestamp bigint,
    -- NULL: the event is discarded.
    corrected_value bytea,
    decided_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE UNIQUE INDEX event_decisions_record ON event_decisions (
    consumer, topic, partition, record_offset, coalesce(record_timestamp, -1));

-- An event that is discarded, restored or applied after all: parked_events says which it is, and this keeps what was
-- decided when its row, or its version, is gone.
CREATE FUNCTION millrace_parked_event_decided() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
    consumer_name text := (SELECT name FROM projections WHERE id = NEW.projection_id);
BEGIN
    IF NEW.reason = 'discarded' THEN
        INSERT INTO event_decisions (consumer, topic, partition, record_offset, record_timestamp)
        VALUES (consumer_name, NEW.topic, NEW.partition, NEW.record_offset, NEW.record_timestamp)
        ON CONFLICT (consumer, topic, partition, record_offset, coalesce(record_timestamp, -1))
            DO UPDATE SET corrected_value = NULL, decided_at = excluded.decided_at;
    ELSE
        DELETE FROM event_decisions
        WHERE consumer = consumer_name AND topic = NEW.topic AND partition = NEW.partition
            AND record_offset = NEW.record_offset AND corrected_value IS NULL
            AND coalesce(record_timestamp, -1) = coalesce(NEW.record_timestamp, -1);
    END IF;
    RETURN NULL;
END
$$;
CREATE TRIGGER millrace_parked_event_decided AFTER UPDATE OF reason ON parked_events
    FOR EACH ROW WHEN (OLD.reason IS DISTINCT FROM NEW.reason) EXECUTE FUNCTION millrace_parked_event_decided();

INSERT INTO event_decisions (consumer, topic, partition, record_offset, record_timestamp)
SELECT DISTINCT p.name, e.topic, e.partition, e.record_offset, e.record_timestamp
FROM parked_events AS e JOIN projections AS p ON p.id = e.projection_id
WHERE e.reason = 'discarded';

-- The schema of a version: order_summary_v2, and behind the name of this schema where that is not public.
CREATE FUNCTION millrace_version_schema(model text, version int) RETURNS text
LANGUAGE plpgsql STABLE SET search_path FROM CURRENT AS $$
DECLARE
    base text := current_schema();
    schema_name text := CASE base WHEN 'public' THEN '' ELSE base || '_' END || replace(model, '-', '_') || '_v' || version;
BEGIN
    IF octet_length(schema_name) > 63 THEN
        RAISE EXCEPTION 'the name % of the schema of a version is longer than 63 bytes', schema_name;
    END IF;
    RETURN schema_name;
END
$$;

-- Gives everybody the same rights on one schema and its tables as they have on another one.
CREATE FUNCTION millrace_copy_rights(source text, target text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    statement text;
BEGIN
    FOR statement IN
        SELECT format('GRANT %s ON SCHEMA %I TO %s', a.privilege_type, target,
            CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE a.grantee::regrole::text END)
        FROM pg_namespace AS n CROSS JOIN LATERAL aclexplode(n.nspacl) AS a
        WHERE n.nspname = source AND a.grantee <> n.nspowner
        UNION ALL
        SELECT format('GRANT %s ON %I.%I TO %s', a.privilege_type, target, own.relname,
            CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE a.grantee::regrole::text END)
        FROM pg_class AS c CROSS JOIN LATERAL aclexplode(c.relacl) AS a
        JOIN pg_class AS own ON own.relname = c.relname AND own.relkind = c.relkind
        JOIN pg_namespace AS n ON n.oid = own.relnamespace AND n.nspname = target
        WHERE c.relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = source)
            AND c.relkind IN ('r', 'v', 'p', 'S') AND a.grantee <> c.relowner
    LOOP
        EXECUTE statement;
    END LOOP;
END
$$;

-- Shows a version's views in the place of those of the same names here, or for the first time.
CREATE FUNCTION millrace_show_version(version_schema text) RETURNS void
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
    view_name text;
BEGIN
    FOR view_name IN
        SELECT c.relname FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
        WHERE n.nspname = version_schema AND c.relkind = 'v' ORDER BY c.relname
    LOOP
        EXECUTE format('CREATE OR REPLACE VIEW %I.%I AS SELECT * FROM %I.%I',
            current_schema(), view_name, version_schema, view_name);
    END LOOP;
END
$$;

-- Moves the tables and types that begin with a prefix into a schema of their own, makes that the version 1 of the
-- read model, and lets the views here show the views there. Writers wait until it is done; readers do, too.
CREATE FUNCTION millrace_adopt_version(model text, prefix text) RETURNS void
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
    base text := current_schema();
    version_schema text := millrace_version_schema(model, 1);
    item record;
BEGIN
    EXECUTE format('CREATE SCHEMA %I', version_schema);
    PERFORM millrace_copy_rights(base, version_schema);
    FOR item IN
        SELECT c.relname AS name FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
        WHERE n.nspname = base AND c.relkind = 'v' AND EXISTS (
            SELECT FROM pg_depend AS d
            JOIN pg_rewrite AS r ON r.oid = d.objid AND r.ev_class = c.oid
            JOIN pg_class AS t ON t.oid = d.refobjid AND d.refclassid = 'pg_class'::regclass
            WHERE d.classid = 'pg_rewrite'::regclass AND t.relkind = 'r' AND starts_with(t.relname, prefix)
                AND t.relnamespace = n.oid)
        ORDER BY 1
    LOOP
        EXECUTE format('CREATE VIEW %I.%I AS %s', version_schema, item.name,
            pg_get_viewdef(format('%I.%I', base, item.name)::regclass));
    END LOOP;
    PERFORM millrace_show_version(version_schema);
    FOR item IN
        SELECT c.relname AS name, CASE c.relkind WHEN 'r' THEN 'TABLE' ELSE 'TYPE' END AS kind
        FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
        WHERE n.nspname = base AND c.relkind IN ('r', 'c') AND starts_with(c.relname, prefix)
    LOOP
        EXECUTE format('ALTER %s %I.%I SET SCHEMA %I', item.kind, base, item.name, version_schema);
    END LOOP;
    FOR item IN
        SELECT s.stxname AS name FROM pg_statistic_ext AS s JOIN pg_namespace AS n ON n.oid = s.stxnamespace
        WHERE n.nspname = base AND starts_with(s.stxname, prefix)
    LOOP
        EXECUTE format('ALTER STATISTICS %I.%I SET SCHEMA %I', base, item.name, version_schema);
    END LOOP;
    INSERT INTO projection_versions (name, version, schema_name, structure, state, promoted_at)
    VALUES (model, 1, version_schema, 1, 'live', clock_timestamp());
END
$$;
