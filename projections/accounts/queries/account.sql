-- An account and its balance. With min_version the answer has all events of the account up to that sequence.
--
-- @reads accounts
-- @param account text required max=255 The account's id.
-- @limit default=1 max=1
-- @version sequence
SELECT account_id, owner, currency, balance::text AS balance, status, opened_at, sequence
FROM accounts
WHERE account_id = :account
