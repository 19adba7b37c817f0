-- The last record of each partition that was passed: its offset, and a digest of its key, value and timestamp. Before
-- a partition goes on, the record at that offset is read again. Another record there means another topic of the same
-- name, deleted and made again, whose offsets say nothing of what was applied. NULL: nothing is known yet.
ALTER TABLE projection_offsets
    ADD COLUMN mark_offset bigint,
    ADD COLUMN mark_digest bigint,
    ADD CONSTRAINT projection_offsets_mark_check
        CHECK ((mark_offset IS NULL) = (mark_digest IS NULL) AND mark_offset < next_offset);
