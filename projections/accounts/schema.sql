CREATE TABLE accounts (
    account_id text PRIMARY KEY,
    owner text,
    currency text NOT NULL,
    balance numeric NOT NULL,
    status text NOT NULL CHECK (status IN ('open', 'frozen')),
    opened_at timestamptz NOT NULL,
    sequence bigint NOT NULL
);

-- Each movement, with the balance after it. For a movement of an account that was never opened, the statements find no
-- balance. So the row violates NOT NULL, and the event becomes a dead letter.
CREATE TABLE transactions (
    account_id text NOT NULL,
    sequence bigint NOT NULL,
    kind text NOT NULL,
    amount numeric NOT NULL,
    balance numeric NOT NULL,
    counterparty text,
    occurred_at timestamptz NOT NULL,
    PRIMARY KEY (account_id, sequence)
);

-- For each month: the balance at its beginning, the sums that were paid in and out, and the balance at its end. Months
-- without a movement have no row.
CREATE VIEW statements AS
SELECT account_id, month, closing_balance - paid_in + paid_out AS opening_balance, paid_in, paid_out, closing_balance,
    entries
FROM (
    SELECT account_id, date_trunc('month', occurred_at AT TIME ZONE 'UTC')::date AS month,
        coalesce(sum(amount) FILTER (WHERE amount > 0), 0) AS paid_in,
        coalesce(-sum(amount) FILTER (WHERE amount < 0), 0) AS paid_out,
        (array_agg(balance ORDER BY sequence DESC))[1] AS closing_balance, count(*) AS entries
    FROM transactions GROUP BY 1, 2
) AS months;
