-- Versions that commands apply in their own transactions: table inline_projections, of the migrations "commands". A
-- database of read models alone does not have it.

-- Ends the transaction of a daemon that would apply events to such a version. Asked after the offsets are locked.
CREATE FUNCTION millrace_expect_daemon(model text, model_version int) RETURNS void
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    IF to_regclass('inline_projections') IS NULL THEN RETURN; END IF;
    IF EXISTS (SELECT FROM inline_projections WHERE name = model AND version = model_version) THEN
        -- Of the class of wrong configuration: no event is the reason, and none becomes a dead letter.
        RAISE EXCEPTION 'version % of % is applied by command-service in the transactions of commands: stop the '
            'daemon of it', model_version, model USING ERRCODE = 'F0000';
    END IF;
END
$$;

-- Commands no longer apply the versions of a read model other than the one that is shown, nor one that is dropped; each
-- may be NULL. Waits for the commands under way.
CREATE FUNCTION millrace_leave_inline(model text, shown_version int, dropped_version int) RETURNS void
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    IF to_regclass('inline_projections') IS NULL THEN RETURN; END IF;
    DELETE FROM inline_projections WHERE name = model AND (version <> shown_version OR version = dropped_version);
    IF FOUND THEN
        PERFORM pg_advisory_xact_lock(hashtextextended('millrace inline projections ' || current_schema(), 0));
    END IF;
END
$$;
