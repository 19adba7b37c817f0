-- Trigrams find words that contain typing errors. If the role of the projection may not create extensions, an
-- administrator must create it first: CREATE EXTENSION pg_trgm SCHEMA public.
CREATE EXTENSION IF NOT EXISTS pg_trgm SCHEMA public;

-- array_to_string accepts arrays of any type, so it is not immutable. For arrays of text it is.
CREATE FUNCTION tag_text(tags text[]) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN array_to_string(tags, ' ');

-- The band of a number of sold pieces: its number of binary digits. Products of one band sell about equally well.
CREATE FUNCTION sales_band(units bigint) RETURNS integer LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN length(ltrim(greatest(units, 0)::bit(64)::text, '0'));

-- The band of a price, computed in the same way, up to a billion.
CREATE FUNCTION price_band(price numeric) RETURNS integer LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN sales_band(floor(least(greatest(price, 0), 1e9))::bigint);

-- The band of a rating. Bands are smaller where most ratings are: below 2, from 2, from 3, from 4, from 4.5, and 5.
CREATE FUNCTION rating_band(rating_sum bigint, rating_count bigint) RETURNS integer LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE
    WHEN rating_count <= 0 THEN 0
    ELSE width_bucket(round(rating_sum::numeric / rating_count, 2), ARRAY[2, 3, 4, 4.5, 5])
END;

-- The words for a band: alone, with a category, with a price band, and with both. They begin with a space, which no
-- word of a text does, and each part begins with its own letter.
CREATE FUNCTION band_words(band text, price numeric, category text) RETURNS text[]
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN ARRAY[
    band, band || ' c' || coalesce(category, ''), band || ' p' || price_band(price),
    band || ' p' || price_band(price) || ' c' || coalesce(category, '')
];

-- The row of a product is created by the first event about it. A sale may be read before the product itself. Each group
-- of columns that one event sets contains the sequence of the last event that set it.
CREATE TABLE products (
    product_id text PRIMARY KEY,
    details_sequence bigint NOT NULL DEFAULT 0,
    name text,
    description text,
    category text,
    tags text[] NOT NULL DEFAULT '{}',
    image_url text,
    price_sequence bigint NOT NULL DEFAULT 0,
    price numeric,
    currency text,
    is_removed boolean NOT NULL DEFAULT false,
    rating_sum bigint NOT NULL DEFAULT 0,
    rating_count bigint NOT NULL DEFAULT 0,
    units_sold bigint NOT NULL DEFAULT 0,
    rating numeric NOT NULL GENERATED ALWAYS AS (
        CASE WHEN rating_count = 0 THEN 0 ELSE round(rating_sum::numeric / rating_count, 2) END) STORED,
    is_listed boolean NOT NULL GENERATED ALWAYS AS (name IS NOT NULL AND price IS NOT NULL AND NOT is_removed) STORED,
    -- Names weigh more than tags, and tags more than descriptions. The bands are additional words. So one search in the
    -- index finds products by words, category and price band, and only among those of one sales or rating band. A band
    -- with a category is one word and not two, because PostgreSQL reads the whole list of each word to find the common
    -- part of two lists.
    search tsvector NOT NULL GENERATED ALWAYS AS (
        setweight(to_tsvector('english', coalesce(name, '')), 'A')
        || setweight(to_tsvector('english', tag_text(tags)), 'B')
        || setweight(to_tsvector('english', coalesce(description, '')), 'C')
        || array_to_tsvector(
            band_words(' s' || sales_band(units_sold), price, category)
            || band_words(' r' || rating_band(rating_sum, rating_count), price, category))) STORED
);

-- The index collects new entries in a pending list, and each search in the index reads that list as a whole. The limit
-- is in kilobytes. It is small because a search looks for up to fifteen bands or more.
CREATE INDEX products_search ON products USING gin (search) WITH (gin_pending_list_limit = 256) WHERE is_listed;
CREATE INDEX products_by_sales ON products (units_sold DESC, product_id) WHERE is_listed;
CREATE INDEX products_by_rating ON products (rating DESC, units_sold DESC, product_id) WHERE is_listed;
CREATE INDEX products_by_price ON products (price) WHERE is_listed;

-- Every word that any product has ever had. It serves to find the word that a user meant when the input has typing
-- errors. With this collation, an index can find words by their beginnings.
CREATE TABLE search_words (word text COLLATE "C" PRIMARY KEY);
CREATE INDEX search_words_alike ON search_words USING gin (word public.gin_trgm_ops);

CREATE FUNCTION words_of(texts text) RETURNS SETOF text LANGUAGE sql IMMUTABLE PARALLEL SAFE
BEGIN ATOMIC
    SELECT DISTINCT left(word, 40) FROM regexp_split_to_table(lower(texts), '[^[:alnum:]]+') AS word WHERE word <> '';
END;

-- Converts the user's text to a search for all of its words. A word that no product has is treated as the beginning of
-- a word: it is replaced by the twenty shortest words that begin with it, or if there are none, by the three most
-- similar words. The index can search for beginnings itself ("head:*"), but this takes many times as long.
CREATE FUNCTION search_query(typed text) RETURNS tsquery LANGUAGE plpgsql STABLE
SET client_min_messages = warning AS $$
DECLARE
    one text;
    part text;
    wanted tsquery := '';
BEGIN
    FOR one IN SELECT w FROM words_of(typed) AS w LIMIT 10 LOOP
        part := quote_literal(one);
        IF NOT EXISTS (SELECT FROM search_words AS s WHERE s.word = one) THEN
            SELECT string_agg(quote_literal(longer.word), ' | ') INTO part
            FROM (
                SELECT s.word
                FROM (
                    SELECT s.word FROM search_words AS s WHERE starts_with(s.word, one COLLATE "C")
                    ORDER BY s.word LIMIT 1000
                ) AS s
                ORDER BY length(s.word), s.word LIMIT 20
            ) AS longer;
        END IF;
        IF part IS NULL THEN
            SELECT string_agg(quote_literal(alike.word), ' | ') INTO part
            FROM (
                SELECT s.word FROM search_words AS s WHERE s.word % one
                ORDER BY similarity(s.word, one) DESC, s.word LIMIT 3
            ) AS alike;
        END IF;
        wanted := wanted && to_tsquery('english', coalesce(part, quote_literal(one)));
    END LOOP;
    RETURN wanted;
END
$$;

-- A search for any of these words, without changing them.
CREATE FUNCTION any_of(words text[]) RETURNS tsquery LANGUAGE sql IMMUTABLE PARALLEL SAFE
BEGIN ATOMIC
    SELECT string_agg('''' || replace(replace(word, '\', '\\'), '''', '''''') || '''', ' | ')::tsquery
    FROM unnest(words) AS word;
END;

-- The bands for a sort order, the best first. The thousand products that sell best share the first band.
CREATE FUNCTION search_bands(sort text) RETURNS SETOF text[] LANGUAGE plpgsql STABLE AS $$
DECLARE
    highest integer;
    lowest integer;
BEGIN
    IF sort = 'rating' THEN
        RETURN QUERY SELECT ARRAY[' r' || band] FROM generate_series(5, 0, -1) AS band;
        RETURN;
    END IF;
    SELECT sales_band(p.units_sold) INTO highest FROM products AS p
    WHERE p.is_listed ORDER BY p.units_sold DESC, p.product_id LIMIT 1;
    SELECT sales_band(p.units_sold) INTO lowest FROM products AS p
    WHERE p.is_listed ORDER BY p.units_sold DESC, p.product_id OFFSET 1000 LIMIT 1;
    lowest := coalesce(lowest, -1);
    IF highest > lowest THEN
        RETURN NEXT ARRAY(SELECT ' s' || band FROM generate_series(lowest + 1, highest) AS band);
    END IF;
    RETURN QUERY SELECT ARRAY[' s' || band] FROM generate_series(lowest, 0, -1) AS band;
END
$$;

-- The products that a search finds, the best first by "score". Scores are computed only for the hundred matching
-- products that sell best or are rated best, and for up to a hundred more that are found with them. If more than 2,000
-- products of a band match, scores are computed for 2,000 of them.
--
-- PostgreSQL can either look up all matching products or read the best products in order. No index does both, and
-- PostgreSQL knows neither how often several words occur together nor how rare a rare word is. Therefore the function
-- searches the bands one after the other, from the best one down, until a hundred products are found. Each band needs
-- one search in the index of words, which reads only matching entries. The last band contributes what it has. A lower
-- band contains twice as many products as the one before, so it is not read for a few missing products.
CREATE FUNCTION find_products(
    typed text, wanted_category text, min_price numeric, max_price numeric, sort text
) RETURNS TABLE (
    product_id text, name text, category text, tags text[], image_url text, price numeric, currency text,
    rating numeric, rating_count bigint, units_sold bigint, score numeric
) LANGUAGE plpgsql STABLE SET enable_seqscan = off SET max_parallel_workers_per_gather = 0 AS $$
DECLARE
    words tsquery := search_query(typed);
    band text[];
    -- What the words for a band end with.
    ends text[] := ARRAY[coalesce(' c' || wanted_category, '')];
    filter text := 'p.is_listed';
    best text := CASE sort WHEN 'rating' THEN 'rating DESC, units_sold DESC' ELSE 'units_sold DESC' END;
    columns text := 'p.product_id, p.name, p.category, p.tags, p.image_url, p.price, p.currency, p.rating, '
        || 'p.rating_count, p.units_sold, '
        || CASE sort
            WHEN 'rating' THEN 'p.rating' WHEN 'sales' THEN 'p.units_sold::numeric'
            -- A product that sells is a little more relevant than one that does not.
            ELSE 'round((ts_rank(p.search, $4) * (1 + ln(1 + p.units_sold) / 20))::numeric, 6)'
        END;
    found bigint;
    missing bigint := 200;
BEGIN
    IF min_price IS NOT NULL THEN filter := filter || ' AND p.price >= $2'; END IF;
    IF max_price IS NOT NULL THEN filter := filter || ' AND p.price <= $3'; END IF;
    IF numnode(words) = 0 AND wanted_category IS NULL THEN
        -- The best of all products, in the order of an index. Where few have such a price, that would read most of the
        -- index, so their prices are looked up instead.
        EXECUTE format('SELECT count(*) FROM (SELECT FROM products AS p WHERE %s LIMIT 10001) AS p', filter)
        INTO found USING words, min_price, max_price;
        RETURN QUERY EXECUTE format(
            'SELECT %s FROM (SELECT * FROM (SELECT * FROM products AS p WHERE %s %s) AS p ORDER BY %s, product_id LIMIT 200) AS p',
            columns, filter, CASE WHEN found > 10000 THEN '' ELSE 'OFFSET 0' END, best)
        USING words, min_price, max_price, words;
        RETURN;
    END IF;
    IF min_price IS NOT NULL OR max_price IS NOT NULL THEN
        -- The lowest and the highest band have other prices too, which the filter leaves out.
        ends := ARRAY(
            SELECT ' p' || about || ends[1]
            FROM generate_series(price_band(coalesce(min_price, 0)), price_band(coalesce(max_price, 1e9))) AS about);
    END IF;
    FOR band IN SELECT b FROM search_bands(sort) AS b LOOP
        RETURN QUERY EXECUTE format(
            $query$
            SELECT %s FROM (
                SELECT * FROM (SELECT * FROM products AS p WHERE %s AND p.search @@ $1 LIMIT 2000) AS p
                ORDER BY %s, product_id LIMIT $5
            ) AS p
            $query$, columns, filter, best)
        USING words && any_of(ARRAY(SELECT b || e FROM unnest(band) AS b, unnest(ends) AS e)), min_price, max_price,
            words, missing;
        GET DIAGNOSTICS found = ROW_COUNT;
        missing := missing - found;
        EXIT WHEN missing <= 100;
    END LOOP;
END
$$;

-- The number of products of each category that a search finds, among the first 5,000 products. Sequential scans are
-- off, because PostgreSQL would read the whole table for a word that it has no statistics about.
CREATE FUNCTION count_products(typed text, min_price numeric, max_price numeric)
RETURNS TABLE (category text, products bigint)
LANGUAGE plpgsql STABLE SET enable_seqscan = off SET max_parallel_workers_per_gather = 0 AS $$
DECLARE
    query tsquery := search_query(typed);
    filter text := 'p.is_listed';
BEGIN
    IF numnode(query) > 0 THEN filter := filter || ' AND p.search @@ $1'; END IF;
    IF min_price IS NOT NULL THEN filter := filter || ' AND p.price >= $2'; END IF;
    IF max_price IS NOT NULL THEN filter := filter || ' AND p.price <= $3'; END IF;
    RETURN QUERY EXECUTE format(
        $query$
        SELECT found.category, count(*) FROM (SELECT p.category FROM products AS p WHERE %s LIMIT 5000) AS found
        GROUP BY 1
        $query$, filter)
    USING query, min_price, max_price;
END
$$;

-- The lines of each order, as in projections/product-stats.
CREATE TABLE order_lines (
    order_id text NOT NULL,
    product_id text NOT NULL,
    sequence bigint NOT NULL,
    quantity bigint NOT NULL,
    PRIMARY KEY (order_id, product_id)
);

CREATE TABLE counted_orders (
    order_id text PRIMARY KEY,
    is_cancelled boolean NOT NULL DEFAULT false
);
