-- Which record a letter is of, and whose letter it is. Two versions of a projection are two consumer groups; their
-- letters neither meet nor wait for each other. A topic that was deleted and made again has other records at the same
-- offsets.

ALTER TABLE dead_letters
    -- '' is not known: letters of others, and what was kept before this.
    ADD COLUMN consumer_group text NOT NULL DEFAULT '',
    -- What tells a record from another at the same place: its timestamp, in milliseconds; of letters of others a hash of
    -- key and value.
    ADD COLUMN origin_mark text NOT NULL DEFAULT '';

UPDATE dead_letters SET origin_mark = (extract(epoch FROM origin_at) * 1000)::bigint::text
WHERE dialect = 'millrace' AND origin_at IS NOT NULL;

-- Where the projections' own tables are here, they tell whose the letters are.
DO $$
BEGIN
    IF to_regclass('projections') IS NOT NULL THEN
        UPDATE dead_letters AS l
        SET consumer_group = p.consumer_group,
            sequence = CASE WHEN l.sequence IS NOT NULL
                THEN sha256(convert_to(p.consumer_group, 'UTF8') || '\x00'::bytea || l.key) END
        FROM (
            SELECT name, min(consumer_group) AS consumer_group FROM projections GROUP BY name HAVING count(*) = 1) AS p
        WHERE p.name = l.consumer AND l.dialect = 'millrace';
    END IF;
END $$;

DO $$
DECLARE
    old name;
BEGIN
    FOR old IN SELECT conname FROM pg_constraint WHERE conrelid = 'dead_letters'::regclass AND contype = 'u' LOOP
        EXECUTE format('ALTER TABLE dead_letters DROP CONSTRAINT %I', old);
    END LOOP;
END $$;
CREATE UNIQUE INDEX dead_letters_name ON dead_letters (
    consumer, origin_topic, origin_partition, origin_offset, consumer_group, origin_mark);
COMMENT ON COLUMN dead_letters.sequence IS
    'what is sent in order: a hash of consumer group and key, or of old the key; NULL for a letter that waits for no other';
