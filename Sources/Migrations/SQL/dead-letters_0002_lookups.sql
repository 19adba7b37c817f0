-- Finds the letters of one key, and of a time: operators' questions.

-- A key's beginning, for a key may be longer than an index takes; many letters may share a key, so they are in order.
CREATE INDEX dead_letters_key ON dead_letters (substring(key FROM 1 FOR 64), letter_id) WHERE key IS NOT NULL;
CREATE INDEX dead_letters_created ON dead_letters (created_at);
