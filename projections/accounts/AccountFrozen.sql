UPDATE accounts SET status = 'frozen', sequence = :sequence WHERE account_id = :aggregate_id;
