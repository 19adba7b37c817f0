-- What moved on an account, the latest first, each with the balance after it.
--
-- @reads accounts
-- @path /v1/accounts/{account}/transactions
-- @param account text required max=255 The account's id.
-- @param from timestamp Only what happened then or later.
-- @param to timestamp Only what happened before.
-- @param kind enum(deposit,withdrawal,transfer)[] Only movements of these kinds.
-- @order sequence desc
-- @limit default=50 max=500
SELECT sequence, kind, amount::text AS amount, balance::text AS balance, counterparty, occurred_at
FROM transactions
WHERE account_id = :account AND (:from IS NULL OR occurred_at >= :from) AND (:to IS NULL OR occurred_at < :to)
    AND (:kind IS NULL OR kind = ANY (:kind))
