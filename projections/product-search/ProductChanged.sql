-- The event contains all details of the product except its price.
INSERT INTO products AS p (product_id, details_sequence, name, description, category, tags, image_url)
SELECT DISTINCT ON (aggregate_id)
    aggregate_id, sequence, payload ->> 'name', payload ->> 'description', payload ->> 'category',
    ARRAY(SELECT jsonb_array_elements_text(coalesce(payload -> 'tags', '[]'))), payload ->> 'imageUrl'
FROM events
ORDER BY aggregate_id, sequence DESC
ON CONFLICT (product_id) DO UPDATE
SET details_sequence = excluded.details_sequence, name = excluded.name, description = excluded.description,
    category = excluded.category, tags = excluded.tags, image_url = excluded.image_url
WHERE excluded.details_sequence > p.details_sequence;

-- The words of all these events are needed, not only those of the latest one: a batch must have the same result as its
-- events one by one.
INSERT INTO search_words (word)
SELECT DISTINCT word
FROM events, words_of(concat_ws(' ', payload ->> 'name', payload ->> 'tags', payload ->> 'description')) AS word
ORDER BY word
ON CONFLICT DO NOTHING;
