-- What people ask of a dataset, over the tables as they lie (schema `tables`: a view for each, with `shard` and `row`).
-- The same names stand in catalog.duckdb, where they are tables and hold no text and no tokens.
-- Before this runs: table `shards` (name, shard, path, file, first_byte), and the variable `published`, [file names].

CREATE TYPE length_bucket AS ENUM ('0-1K', '1-2K', '2-4K', '4-8K', '8-16K', '16-32K', '32-64K', '64-128K', '128K+');

-- The bucket of a length in tokens; K = 1,024, the lower end belongs to it.
CREATE MACRO bucket_of(n) AS (
    CASE
        WHEN n < 1024 THEN '0-1K' WHEN n < 2048 THEN '1-2K' WHEN n < 4096 THEN '2-4K' WHEN n < 8192 THEN '4-8K'
        WHEN n < 16384 THEN '8-16K' WHEN n < 32768 THEN '16-32K' WHEN n < 65536 THEN '32-64K'
        WHEN n < 131072 THEN '64-128K' ELSE '128K+'
    END
)::length_bucket;

-- A row a document as found, with what became of it: verdict kept, exact or near; n_tokens NULL where it was dropped.
CREATE VIEW documents AS
SELECT
    d.document_id, d.content_hash, d.source, d.origin, d.domain, d.license, d.file, d.record, d.n_bytes,
    u.verdict, u.kept_id, u.similarity, t.n_tokens,
    CASE WHEN t.n_tokens IS NOT NULL THEN bucket_of(t.n_tokens) END AS length_bucket,
    d.shard, d.row
FROM tables.documents d
JOIN tables.duplicates u ON u.shard = d.shard AND u.row = d.row
JOIN tables.tokens t ON t.shard = d.shard AND t.row = d.row;

-- A row a document of each table that judges it; BUDGET says why in place of a status.
CREATE VIEW judged AS
SELECT 'BUDGET' AS kind, shard, row, document_id, NULL AS status FROM tables.budget
UNION ALL SELECT 'SCORES_CHEAP', shard, row, document_id, status FROM tables.scores_cheap
UNION ALL SELECT 'SCORES_CHUNK_GAIN', shard, row, document_id, status FROM tables.scores_chunk_gain
UNION ALL SELECT 'SCORES_PROLONG', shard, row, document_id, status FROM tables.scores_prolong
UNION ALL SELECT 'SCORES_INFOGAIN', shard, row, document_id, status FROM tables.scores_infogain
UNION ALL SELECT 'SCORES_LONGATTN', shard, row, document_id, status FROM tables.scores_longattn;

-- A row a document that dedup kept, with its scores where the recipe makes them. status tells of chunk_gain: scored,
-- too_short, not_scored (and the reason) or error; score is its mean gain over far pairs in nats per token.
CREATE VIEW scores AS
SELECT
    d.document_id, d.content_hash, d.source, d.domain, d.n_tokens, d.length_bucket,
    g.status, g.reason, g.score, g.error, g.near, g.near_error, coalesce(b.n_pairs, 0) AS n_pairs,
    g.uncorrected, g.uncorrected_near, g.strong_share, g.strength, g.distance, g.entropy_factor,
    c.repeat_share, c.recurrence, c.order_z, c.list_share, c.shuffled, c.refused,
    p.lds, i.infogain, i.key_share, a.ds, a.du
FROM documents d
LEFT JOIN tables.scores_cheap c ON c.shard = d.shard AND c.row = d.row
LEFT JOIN tables.budget b ON b.shard = d.shard AND b.row = d.row
LEFT JOIN tables.scores_chunk_gain g ON g.shard = d.shard AND g.row = d.row
LEFT JOIN tables.scores_prolong p ON p.shard = d.shard AND p.row = d.row
LEFT JOIN tables.scores_infogain i ON i.shard = d.shard AND i.row = d.row
LEFT JOIN tables.scores_longattn a ON a.shard = d.shard AND a.row = d.row
WHERE d.verdict = 'kept' AND (c.document_id IS NOT NULL OR g.document_id IS NOT NULL);

-- Scores by domain and length: how many documents have one, and how they are spread.
CREATE VIEW scores_by_length AS
SELECT domain, length_bucket, count(*) AS documents, count(score) AS scored, sum(n_pairs)::BIGINT AS pairs,
    round(quantile_cont(score, 0.1), 4) AS low, round(median(score), 4) AS median, round(quantile_cont(score, 0.9), 4) AS high,
    round(sqrt(avg(error * error)), 4) AS error, round(median(near), 4) AS near,
    count(refused) AS refused
FROM scores GROUP BY domain, length_bucket ORDER BY domain, length_bucket;

-- Why documents have no score of the model.
CREATE VIEW not_scored AS
SELECT domain, status, reason, count(*) AS documents, sum(n_tokens)::BIGINT AS tokens
FROM scores WHERE status IS DISTINCT FROM 'scored' AND status IS NOT NULL GROUP BY ALL ORDER BY domain, tokens DESC;

-- A row an input record that could not be used, and why.
CREATE VIEW rejected AS SELECT source, file, record, reason, detail, n_bytes, record_hash FROM tables.rejected;

-- A row a copy of a document in the mix. A cut one holds the document's first tokens.
CREATE VIEW draws AS
SELECT * EXCLUDE (shard, row), document_stop - document_start AS drawn_tokens, bucket_of(n_tokens) AS length_bucket
FROM tables.draws;

-- A row a training row; `file` is the Parquet file beside the catalog.
CREATE VIEW sequences AS
SELECT sequence_id, n_tokens, len(segments) AS n_segments, getvariable('published')[shard + 1] AS file
FROM tables.sequences;

-- A row a segment: which tokens of which document stand at [sequence_start, sequence_stop) of which sequence.
CREATE VIEW segments AS
SELECT
    sequence_id, place, s.document_id, s.domain, s.document_start, s.document_stop, s.epoch,
    cu_seqlens[place + 1] AS sequence_start, cu_seqlens[place + 2] AS sequence_stop
FROM (SELECT sequence_id, cu_seqlens, unnest(segments) AS s, generate_subscripts(segments, 1) - 1 AS place FROM tables.sequences);

-- Tokens and documents by domain and length, before the mix was drawn and in it. A cut copy counts where the whole does.
CREATE VIEW lengths AS
SELECT domain, length_bucket, coalesce(documents, 0) AS documents, coalesce(tokens, 0) AS tokens,
    coalesce(drawn_copies, 0) AS drawn_copies, coalesce(drawn_tokens, 0) AS drawn_tokens
FROM (
    SELECT domain, length_bucket, count(*) AS documents, sum(n_tokens)::BIGINT AS tokens
    FROM documents WHERE verdict = 'kept' GROUP BY ALL
)
FULL JOIN (
    SELECT domain, length_bucket, count(*) AS drawn_copies, sum(drawn_tokens)::BIGINT AS drawn_tokens FROM draws GROUP BY ALL
) USING (domain, length_bucket)
ORDER BY domain, length_bucket;

-- The share of each domain, of the tokens that dedup kept and of those in the mix.
CREATE VIEW shares AS
SELECT domain, sum(tokens)::BIGINT AS tokens, sum(drawn_tokens)::BIGINT AS drawn_tokens,
    sum(tokens) / sum(sum(tokens)) OVER () AS corpus_share,
    sum(drawn_tokens) / sum(sum(drawn_tokens)) OVER () AS mix_share
FROM lengths GROUP BY domain ORDER BY domain;

-- Kept documents that stand almost whole inside a kept document of three times their size or more: a page of a site that
-- also comes in one file. Their Jaccard similarity is tiny, so dedup drops neither. Estimated from the sampled shingles
-- (one of 64), from at least 5 of them; shingles that stand in more than 64 documents say nothing and are left out.
CREATE VIEW contained AS
WITH marks AS (
    SELECT d.document_id, d.domain, s.n_shingles, unnest(s.sketch) AS mark
    FROM tables.signatures s JOIN documents d USING (shard, row) WHERE d.verdict = 'kept'
), telling AS (
    SELECT document_id, domain, n_shingles, mark, count(*) OVER (PARTITION BY document_id) AS n
    FROM (SELECT * FROM marks QUALIFY count(*) OVER (PARTITION BY mark) <= 64)
)
SELECT a.document_id, a.domain, a.n_shingles, b.document_id AS inside_id, b.domain AS inside_domain,
    b.n_shingles AS inside_shingles, count(*) / a.n AS containment
FROM telling a JOIN telling b ON a.mark = b.mark AND b.n_shingles >= 3 * a.n_shingles
WHERE a.n >= 5
GROUP BY a.document_id, a.domain, a.n_shingles, a.n, b.document_id, b.domain, b.n_shingles
HAVING containment >= 0.9;
