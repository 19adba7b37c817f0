INSERT INTO accounts (account_id, owner, currency, balance, status, opened_at, sequence)
VALUES (:aggregate_id, :payload ->> 'owner', :payload ->> 'currency', 0, 'open', :occurred_at, :sequence);
