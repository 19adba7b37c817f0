-- Trigrams find words in spite of typing errors. Where the projection's role may not make extensions, an administrator
-- has made it before: CREATE EXTENSION pg_trgm SCHEMA public.
CREATE EXTENSION IF NOT EXISTS pg_trgm SCHEMA public;

-- array_to_string is not immutable, since it is for arrays of any type; for text it is.
CREATE FUNCTION tag_text(tags text[]) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN array_to_string(tags, ' ');

-- The number of binary digits of what was sold: products of a band sell about as well.
CREATE FUNCTION sales_band(units bigint) RETURNS integer LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN length(ltrim(greatest(units, 0)::bit(64)::text, '0'));

-- The same of a price, up to a billion.
CREATE FUNCTION price_band(price numeric) RETURNS integer LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN sales_band(floor(least(greatest(price, 0), 1e9))::bigint);

-- Finer where most ratings are: below 2, from 2, from 3, from 4, from 4.5, and 5.
CREATE FUNCTION rating_band(rating_sum bigint, rating_count bigint) RETURNS integer LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE
    WHEN rating_count <= 0 THEN 0
    ELSE width_bucket(round(rating_sum::numeric / rating_count, 2), ARRAY[2, 3, 4, 4.5, 5])
END;

-- The words for a band: alone, in a category, of about a price, and both. They begin with a space, as no word of a text
-- does, and each part of them with a letter of its own.
CREATE FUNCTION band_words(band text, price numeric, category text) RETURNS text[]
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN ARRAY[
    band, band || ' c' || coalesce(category, ''), band || ' p' || price_band(price),
    band || ' p' || price_band(price) || ' c' || coalesce(category, '')
];

-- A row is there as soon as anything is known of a product: a sale may be read before the product itself. Each group of
-- columns that one event sets has the sequence of the event that set it last.
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
    -- Names weigh more than tags, and tags more than descriptions. The bands are words of their own, so that one look
    -- into the index finds words, category and about the price together, among those that sell best alone. A band in a
    -- category is one word and not two: PostgreSQL reads all of each word's list to find what two lists share.
    search tsvector NOT NULL GENERATED ALWAYS AS (
        setweight(to_tsvector('english', coalesce(name, '')), 'A')
        || setweight(to_tsvector('english', tag_text(tags)), 'B')
        || setweight(to_tsvector('english', coalesce(description, '')), 'C')
        || array_to_tsvector(
            band_words(' s' || sales_band(units_sold), price, category)
            || band_words(' r' || rating_band(rating_sum, rating_count), price, category))) STORED
);

-- What was written last waits in a list, in kilobytes, which each look into the index reads as a whole. A search looks
-- for up to fifteen bands and more.
CREATE INDEX products_search ON products USING gin (search) WITH (gin_pending_list_limit = 256) WHERE is_listed;
CREATE INDEX products_by_sales ON products (units_sold DESC, product_id) WHERE is_listed;
CREATE INDEX products_by_rating ON products (rating DESC, units_sold DESC, product_id) WHERE is_listed;
CREATE INDEX products_by_price ON products (price) WHERE is_listed;

-- Every word that a product was ever called by, to find what somebody meant who mistyped. The collation lets an index
-- find words by how they begin.
CREATE TABLE search_words (word text COLLATE "C" PRIMARY KEY);
CREATE INDEX search_words_alike ON search_words USING gin (word public.gin_trgm_ops);

CREATE FUNCTION words_of(texts text) RETURNS SETOF text LANGUAGE sql IMMUTABLE PARALLEL SAFE
BEGIN ATOMIC
    SELECT DISTINCT left(word, 40) FROM regexp_split_to_table(lower(texts), '[^[:alnum:]]+') AS word WHERE word <> '';
END;

-- What somebody typed, as a search for all of the words. One that no product has is taken for the beginning of a word,
-- of the twenty shortest that begin so; where none does, for one of the three words that are most like it. The index
-- could look for beginnings itself ("head:*"), and would take many times as long.
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

-- A search for any of some words, which are taken as they are.
CREATE FUNCTION any_of(words text[]) RETURNS tsquery LANGUAGE sql IMMUTABLE PARALLEL SAFE
BEGIN ATOMIC
    SELECT string_agg('''' || replace(replace(word, '\', '\\'), '''', '''''') || '''', ' | ')::tsquery
    FROM unnest(words) AS word;
END;

-- The bands of an order, the best first. The thousand best sellers share one.
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

-- The products that a search finds, best first by "score", whose relevance is compared: of all that match, the hundred
-- that sell best, or are rated best, and up to a hundred more that come with them. Where more than 2,000 of a band match,
-- 2,000 of them are compared.
--
-- PostgreSQL can look up what matches, or walk through the best sellers. No index does both, and PostgreSQL knows neither
-- how often several words are together nor how rare a rare word is. So the bands are asked one after the other, from the
-- best down, until there are a hundred: each is one look into the index of words, which reads no more than it finds. The
-- last one gives what it has. A lower band, of twice as many products as the one before, is not read for a few more.
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

-- How many products of each category a search finds, of the first 5,000. Of a word that it knows nothing of, PostgreSQL
-- would rather read the whole table.
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

-- What is sold in each order, as in projections/product-stats.
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
