-- The statements of an account, the latest month first.
--
-- @reads accounts
-- @path /v1/accounts/{account}/statements
-- @param account text required max=255 The account's id.
-- @order month desc
-- @limit default=12 max=120
SELECT month, opening_balance::text AS opening_balance, paid_in::text AS paid_in, paid_out::text AS paid_out,
    closing_balance::text AS closing_balance, entries
FROM statements
WHERE account_id = :account
