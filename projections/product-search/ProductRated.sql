-- The table contains sums, so ratings may arrive in any order.
INSERT INTO products AS p (product_id, rating_sum, rating_count)
SELECT aggregate_id, sum((payload ->> 'rating')::bigint), count(*) FROM events GROUP BY aggregate_id ORDER BY aggregate_id
ON CONFLICT (product_id) DO UPDATE
SET rating_sum = p.rating_sum + excluded.rating_sum, rating_count = p.rating_count + excluded.rating_count;
