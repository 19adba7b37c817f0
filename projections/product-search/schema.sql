-- Trigrams find words in spite of typing errors. Where the projection's role may not make extensions, an administrator
-- has made it before: CREATE EXTENSION pg_trgm SCHEMA public.
CREATE EXTENSION IF NOT EXISTS pg_trgm SCHEMA public;

-- array_to_string is not immutable, since it is for arrays of any type; for text it is.
CREATE FUNCTION tag_text(tags text[]) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN array_to_string(tags, ' ');

-- The number of binary digits of what was sold: products of a band sell about as well.
CREATE FUNCTION sales_band(units bigint) RETURNS integer LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN length(ltrim(greatest(units, 0)::bit(64)::text, '0'));

-- A rating from 0 to 5, in tenths.
CREATE FUNCTION rating_band(rating_sum bigint, rating_count bigint) RETURNS integer LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE
    WHEN rating_count <= 0 THEN 0
    ELSE floor(least(greatest(round(rating_sum::numeric / rating_count, 2), 0), 5) * 10)::integer
END;

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
    -- Names weigh more than tags, and tags more than descriptions. The category and the bands are words of their own, so
    -- that one look into the index finds words and category together, among those that sell best alone.
    search tsvector NOT NULL GENERATED ALWAYS AS (
        setweight(to_tsvector('english', coalesce(name, '')), 'A')
        || setweight(to_tsvector('english', tag_text(tags)), 'B')
        || setweight(to_tsvector('english', coalesce(description, '')), 'C')
        || array_to_tsvector(ARRAY[
            'category:' || coalesce(category, ''), 'sales:' || sales_band(units_sold),
            'rating:' || rating_band(rating_sum, rating_count)])) STORED
);

CREATE INDEX products_search ON products USING gin (search) WHERE is_listed;
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

-- The bands of an order, the best first: each a search for one of several words. The thousand best sellers share one.
CREATE FUNCTION search_bands(sort text) RETURNS SETOF tsquery LANGUAGE plpgsql STABLE AS $$
DECLARE
    lowest integer;
BEGIN
    IF sort = 'rating' THEN
        RETURN QUERY
        SELECT string_agg('''rating:' || band || '''', ' | ')::tsquery
        FROM (VALUES (50, 50), (45, 49), (40, 44), (30, 39), (20, 29), (0, 19)) AS b (low, high),
            generate_series(low, high) AS band
        GROUP BY low ORDER BY low DESC;
        RETURN;
    END IF;
    SELECT sales_band(p.units_sold) INTO lowest FROM products AS p
    WHERE p.is_listed ORDER BY p.units_sold DESC, p.product_id OFFSET 1000 LIMIT 1;
    lowest := coalesce(lowest, -1);
    RETURN QUERY
    SELECT string_agg('''sales:' || band || '''', ' | ')::tsquery FROM generate_series(lowest + 1, 63) AS band;
    RETURN QUERY SELECT ('''sales:' || band || '''')::tsquery FROM generate_series(lowest, 0, -1) AS band;
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
) LANGUAGE plpgsql STABLE SET enable_seqscan = off AS $$
DECLARE
    words tsquery := search_query(typed);
    query tsquery := words;
    band tsquery;
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
    IF wanted_category IS NOT NULL THEN
        query := query && ('''category:' || replace(replace(wanted_category, '\', '\\'), '''', '''''') || '''')::tsquery;
    END IF;
    IF min_price IS NOT NULL THEN filter := filter || ' AND p.price >= $2'; END IF;
    IF max_price IS NOT NULL THEN filter := filter || ' AND p.price <= $3'; END IF;
    IF numnode(query) = 0 THEN
        -- The best of all products, in the order of an index. Where few have such a price, that would read most of the
        -- index, so their prices are looked up instead.
        EXECUTE format('SELECT count(*) FROM (SELECT FROM products AS p WHERE %s LIMIT 10001) AS p', filter)
        INTO found USING query, min_price, max_price;
        RETURN QUERY EXECUTE format(
            'SELECT %s FROM (SELECT * FROM (SELECT * FROM products AS p WHERE %s %s) AS p ORDER BY %s, product_id LIMIT 200) AS p',
            columns, filter, CASE WHEN found > 10000 THEN '' ELSE 'OFFSET 0' END, best)
        USING query, min_price, max_price, words;
        RETURN;
    END IF;
    FOR band IN SELECT b FROM search_bands(sort) AS b LOOP
        RETURN QUERY EXECUTE format(
            $query$
            SELECT %s FROM (
                SELECT * FROM (SELECT * FROM products AS p WHERE %s AND p.search @@ $1 LIMIT 2000) AS p
                ORDER BY %s, product_id LIMIT $5
            ) AS p
            $query$, columns, filter, best)
        USING query && band, min_price, max_price, words, missing;
        GET DIAGNOSTICS found = ROW_COUNT;
        missing := missing - found;
        EXIT WHEN missing <= 100;
    END LOOP;
END
$$;

-- How many products of each category a search finds, of the first 5,000. Of a word that it knows nothing of, PostgreSQL
-- would rather read the whole table.
CREATE FUNCTION count_products(typed text, min_price numeric, max_price numeric)
RETURNS TABLE (category text, products bigint) LANGUAGE plpgsql STABLE SET enable_seqscan = off AS $$
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
