WITH moved AS (
    UPDATE accounts SET balance = balance + -(:payload ->> 'amount')::numeric, sequence = :sequence
    WHERE account_id = :aggregate_id
    RETURNING balance
)
INSERT INTO transactions (account_id, sequence, kind, amount, balance, occurred_at)
VALUES (:aggregate_id, :sequence, 'withdrawal', -(:payload ->> 'amount')::numeric, (SELECT balance FROM moved),
    :occurred_at);
