-- Each side of a transfer has its own event. Its "direction" is in or out.
WITH amount AS (
    SELECT CASE :payload ->> 'direction' WHEN 'in' THEN 1 WHEN 'out' THEN -1 END * (:payload ->> 'amount')::numeric AS value
), moved AS (
    UPDATE accounts SET balance = balance + (SELECT value FROM amount), sequence = :sequence
    WHERE account_id = :aggregate_id
    RETURNING balance
)
INSERT INTO transactions (account_id, sequence, kind, amount, balance, counterparty, occurred_at)
VALUES (:aggregate_id, :sequence, 'transfer', (SELECT value FROM amount), (SELECT balance FROM moved),
    :payload ->> 'counterparty', :occurred_at);
