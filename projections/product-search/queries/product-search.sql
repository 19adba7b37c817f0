-- Finds products by words, category and price, the best first.
--
-- Words find products that have all of them, in name, tags or description, also by their beginnings and in spite of
-- typing errors. Without words, all products of the category are found. Of what matches, the hundred best are found, and at
-- most a hundred more.
--
-- @reads product-search
-- @path /v1/products/search
-- @param q text max=200 default="" What to look for.
-- @param category text max=100 Only products of this category.
-- @param min_price decimal min=0 Only products that cost as much or more.
-- @param max_price decimal min=0 Only products that cost as much or less.
-- @param sort enum(relevance,rating,sales) default=relevance What the best is.
-- @order score desc, product_id
-- @limit default=20 max=100
-- @timeout 2s
SELECT product_id, name, category, tags, image_url, price::text AS price, currency, rating,
    rating_count, units_sold, score
FROM find_products(:q, :category, :min_price, :max_price, :sort)
