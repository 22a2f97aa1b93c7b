-- Views over the tables of a version, for people, for the laws, and for the card, the report and the summary.
-- The schema `tables` has a view for each table, with `shard` and `row`. catalog.duckdb has these views as tables.
-- Requires the table `shards` (name, shard, path, file, first_byte) and the variables `published` (names of the Parquet
-- files), `sequence_tokens`, `negative_neighbours`, `long_tokens` and `dropped_reasons` (plan.select.drop). The comment before a view defines its
-- rows and becomes its COMMENT.
-- views.py replaces the placeholders, such as $$judged, by SQL for all tables of scores.

CREATE TYPE length_bucket AS ENUM ('0-1K', '1-2K', '2-4K', '4-8K', '8-16K', '16-32K', '32-64K', '64-128K', '128K+');

-- The bucket of a length in tokens; K = 1,024, the lower bound is inclusive.
CREATE MACRO bucket_of(n) AS (
    CASE
        WHEN n < 1024 THEN '0-1K' WHEN n < 2048 THEN '1-2K' WHEN n < 4096 THEN '2-4K' WHEN n < 8192 THEN '4-8K'
        WHEN n < 16384 THEN '8-16K' WHEN n < 32768 THEN '16-32K' WHEN n < 65536 THEN '32-64K'
        WHEN n < 131072 THEN '64-128K' ELSE '128K+'
    END
)::length_bucket;

-- The kind of a document in the plan, by its length.
CREATE MACRO kind_of(n) AS CASE WHEN n >= getvariable('long_tokens') THEN 'long' ELSE 'short' END;

-- A cosine or an nll in millionths. Sums are over these: sums of floats would depend on the number of threads.
CREATE MACRO micro(x) AS round(x * 1e6)::BIGINT;

-- The mean of cosines or nlls.
CREATE MACRO mean_micro(x) AS sum(micro(x)) / 1e6 / count(x);

-- The first 60 characters of a text, in one line.
CREATE MACRO head_of(text) AS left(regexp_replace(left(text, 240), '\s+', ' ', 'g'), 60);

-- A row is a document: what encode made of it. Of TOKENS, or of SAMPLES in a set of instruction samples.
CREATE VIEW encoded AS
SELECT shard, row, document_id, status, reason, fell_back, decodes, n_tokens FROM tables.tokens
UNION ALL
SELECT shard, row, document_id, status, reason, NULL, NULL, n_tokens FROM tables.samples;

-- A row is a training row without its tokens: of SEQUENCES, or of SFT_SEQUENCES in a set of instruction samples.
CREATE VIEW packed AS
SELECT shard, row, sequence_id, n_tokens, cu_seqlens, segments FROM tables.sequences
UNION ALL
SELECT shard, row, sequence_id, n_tokens, cu_seqlens, segments FROM tables.sft_sequences;

-- A row is a document of a source, with its verdict: kept, exact or near. token_status is encoded, dropped (by dedup) or
-- refused (the tokenizer cannot encode the text, for token_reason); n_tokens is NULL unless it is encoded.
CREATE VIEW documents AS
SELECT
    d.document_id, d.content_hash, d.source, d.record_id, d.origin, d.domain, d.license, d.file, d.record, d.n_bytes,
    u.verdict, u.kept_id, u.similarity, t.status AS token_status, t.reason AS token_reason, t.n_tokens,
    CASE WHEN t.n_tokens IS NOT NULL THEN bucket_of(t.n_tokens) END AS length_bucket,
    d.shard, d.row
FROM tables.documents d
JOIN tables.duplicates u ON u.shard = d.shard AND u.row = d.row
JOIN encoded t ON t.shard = d.shard AND t.row = d.row;

-- A row is a record that ingest rejected or a document that encode refused, with the stage and the reason. head is how it
-- begins; catalog.duckdb lacks that column. A narrow terminal leaves out the columns in the middle, the least useful ones.
CREATE VIEW rejected AS
SELECT 'ingest' AS stage, source, reason, head_of(coalesce(try(decode(head)), head::VARCHAR)) AS head, record_hash, n_bytes,
    file, record, detail
FROM tables.rejected
UNION ALL
SELECT 'encode', d.source, t.reason, d.head, d.content_hash, d.n_bytes, d.file, d.record,
    CASE t.reason
        WHEN 'no_token' THEN 'the tokenizer makes no token of the text; use one with an unk_token or with byte_fallback'
        WHEN 'eos_in_text' THEN 'the text contains eos_token, and the tokenizer cannot spell it with other tokens; '
            'use another tokenizer or eos_token'
        WHEN 'bos_in_text' THEN 'the text contains bos_token, and the tokenizer cannot spell it with other tokens; '
            'use another tokenizer or bos_token'
        WHEN 'marker_in_text' THEN 'a tool or a call spells a special token, or the tokenizer cannot spell one in a text with '
            'other tokens; change the sample, or use another tokenizer'
        ELSE 'the tokenizer raised an error on the text; use another tokenizer, or remove the document'
    END
FROM (SELECT *, head_of(text) AS head FROM tables.documents) d
JOIN encoded t ON t.shard = d.shard AND t.row = d.row
WHERE t.status = 'refused';

-- A row is a stage (ingest, encode), a reason and a source: how many records were rejected or refused.
CREATE VIEW rejections AS
SELECT stage, reason, source, count(*) AS records FROM rejected GROUP BY ALL ORDER BY records DESC, stage, reason, source;

-- A row is a source: its encoded documents, their bytes and tokens (EOS and BOS included), and its refused documents.
-- sampled documents were decoded; a lossy one does not decode to its text. fell_back_shards were encoded by tokenizers,
-- because fastokens gave other ids.
CREATE VIEW encoding AS
SELECT d.source, count(*) FILTER (t.status = 'encoded') AS documents,
    coalesce(sum(d.n_bytes) FILTER (t.status = 'encoded'), 0)::BIGINT AS n_bytes,
    coalesce(sum(t.n_tokens), 0)::BIGINT AS tokens,
    sum(d.n_bytes) FILTER (t.status = 'encoded') / nullif(sum(t.n_tokens), 0) AS bytes_per_token,
    count(*) FILTER (t.status = 'refused') AS refused, count(t.decodes) AS sampled,
    count(*) FILTER (NOT t.decodes) AS lossy,
    count(DISTINCT d.shard) FILTER (t.fell_back IS NOT NULL) AS fell_back_shards
FROM tables.documents d JOIN encoded t ON t.shard = d.shard AND t.row = d.row
GROUP BY d.source ORDER BY d.source;

-- A row is a source: numbers of its documents, of those that dedup kept and dropped, and of its rows of `rejected`.
CREATE VIEW sources AS
SELECT source, coalesce(documents, 0) AS documents, coalesce(kept, 0) AS kept,
    coalesce(exact_copies, 0) AS exact_copies, coalesce(near_copies, 0) AS near_copies,
    coalesce(rejected_records, 0) AS rejected_records, coalesce(n_bytes, 0) AS n_bytes
FROM (
    SELECT source, count(*) AS documents, count(*) FILTER (verdict = 'kept') AS kept,
        count(*) FILTER (verdict = 'exact') AS exact_copies, count(*) FILTER (verdict = 'near') AS near_copies,
        sum(n_bytes)::BIGINT AS n_bytes
    FROM documents GROUP BY source
)
FULL JOIN (SELECT source, count(*) AS rejected_records FROM rejected GROUP BY source) USING (source)
ORDER BY source;

-- A row is a document in BUDGET or in a table of scores, with its status there. BUDGET has no status.
CREATE VIEW judged AS
$judged;

-- A row is a document and a part of one kind of score: its value, and whether the part is the score of its kind.
CREATE VIEW score_values AS
$score_values;

-- A row is a document that dedup kept, with its scores; empty if the recipe scores no documents. status, reason and
-- score are those of chunk_gain: score is the mean gain over far pairs, in nats per token.
CREATE VIEW scores AS
SELECT
    d.document_id, d.content_hash, d.source, d.domain, d.n_tokens, d.length_bucket,
    g.status, g.reason, g.score, g.error, g.near, g.near_error, coalesce(b.n_pairs, 0) AS n_pairs,
    g.uncorrected, g.uncorrected_near, g.strong_share, g.strength, g.distance, g.entropy_factor,
    c.repeat_share, c.recurrence, c.order_z, c.list_share, c.shuffled, c.refused$columns
FROM documents d
LEFT JOIN tables.scores_cheap c ON c.shard = d.shard AND c.row = d.row
LEFT JOIN tables.budget b ON b.shard = d.shard AND b.row = d.row
LEFT JOIN tables.scores_chunk_gain g ON g.shard = d.shard AND g.row = d.row
${joins}WHERE d.verdict = 'kept' AND (c.document_id IS NOT NULL OR g.document_id IS NOT NULL);

-- A row is a domain and a length bucket: how many documents have a chunk_gain score, and the spread of their scores.
-- low and high are the 10th and the 90th percentile; error is the root mean square of the standard errors. A narrow
-- terminal shows the first and the last columns.
CREATE VIEW scores_by_length AS
SELECT domain, length_bucket, count(*) AS documents, count(score) AS scored, sum(n_pairs)::BIGINT AS pairs,
    count(refused) AS refused, round(sqrt(avg(error * error)), 4) AS error, round(median(near), 4) AS near,
    round(quantile_cont(score, 0.1), 4) AS low, round(median(score), 4) AS median, round(quantile_cont(score, 0.9), 4) AS high
FROM scores WHERE n_tokens IS NOT NULL GROUP BY domain, length_bucket ORDER BY domain, length_bucket;

-- A row is a domain, a status and a reason: how many documents have no chunk_gain score.
CREATE VIEW not_scored AS
SELECT domain, status, reason, count(*) AS documents, coalesce(sum(n_tokens), 0)::BIGINT AS tokens
FROM scores WHERE status IS DISTINCT FROM 'scored' AND status IS NOT NULL GROUP BY ALL ORDER BY domain, tokens DESC;

-- A row is a reason for which documents have no chunk_gain score, over all domains.
CREATE VIEW not_scored_reasons AS
SELECT coalesce(reason, status) AS reason, sum(documents)::BIGINT AS documents, sum(tokens)::BIGINT AS tokens
FROM not_scored GROUP BY ALL ORDER BY tokens DESC, reason;

-- A row is a kind of score other than cheap and chunk_gain, and a domain: the spread of the score over documents. low
-- and high are the 10th and the 90th percentile.
CREATE VIEW other_scores AS
SELECT kind, d.domain, v.part AS score, count(*) AS documents, quantile_cont(value, 0.1) AS low,
    median(value) AS median, quantile_cont(value, 0.9) AS high
FROM score_values v JOIN documents d ON d.shard = v.shard AND d.row = v.row
WHERE v.is_score AND v.value IS NOT NULL AND v.kind NOT IN ('cheap', 'chunk_gain')
GROUP BY ALL ORDER BY kind, d.domain;

-- A row is a domain: how many of its kept documents the cheap tier refuses, by reason, and how many tokens they have.
CREATE VIEW refused AS
SELECT domain, count(*) AS documents, count(*) FILTER (refused = 'repeats') AS repeats,
    count(*) FILTER (refused = 'list') AS lists, count(*) FILTER (refused = 'stitched') AS stitched,
    count(*) FILTER (shuffled) AS shuffled,
    coalesce(sum(n_tokens) FILTER (refused IS NOT NULL), 0)::BIGINT AS refused_tokens
FROM scores GROUP BY domain ORDER BY domain;

-- A row is a copy of a document in the mix. A copy that was cut holds the document's first tokens.
CREATE VIEW draws AS
SELECT * EXCLUDE (shard, row), document_stop - document_start AS drawn_tokens, bucket_of(n_tokens) AS length_bucket
FROM tables.draws;

-- A row is a training row; n_pad of its n_tokens are pad or marker tokens, which belong to no document. `file` is the
-- Parquet file beside the catalog.
CREATE VIEW sequences AS
SELECT sequence_id, n_tokens, list_sum(list_transform(segments, lambda s: s.n_pad))::INTEGER AS n_pad,
    len(segments) AS n_segments, getvariable('published')[shard + 1] AS file
FROM packed;

-- A row is a segment: the tokens of one document at [sequence_start, sequence_stop) of one sequence. The last n_pad of
-- these are pad or marker tokens. path_position is the place in the group's path, NULL for a copy that is not on it.
CREATE VIEW segments AS
SELECT
    sequence_id, place, s.document_id, s.domain, s.document_start, s.document_stop, s.epoch,
    s.path_position, s.similarity_to_previous, s.n_pad,
    cu_seqlens[place + 1] AS sequence_start, cu_seqlens[place + 2] AS sequence_stop
FROM (
    SELECT sequence_id, cu_seqlens, unnest(segments) AS s, generate_subscripts(segments, 1) - 1 AS place
    FROM packed
);

-- A row is a domain and a length bucket: encoded documents and their tokens, copies and tokens in the mix. The length is
-- that of the document, also for a copy that was cut.
CREATE VIEW lengths AS
SELECT domain, length_bucket, coalesce(documents, 0) AS documents, coalesce(tokens, 0) AS tokens,
    coalesce(drawn_copies, 0) AS drawn_copies, coalesce(drawn_tokens, 0) AS drawn_tokens
FROM (
    SELECT domain, length_bucket, count(*) AS documents, sum(n_tokens)::BIGINT AS tokens
    FROM documents WHERE token_status = 'encoded' GROUP BY ALL
)
FULL JOIN (
    SELECT domain, length_bucket, count(*) AS drawn_copies, sum(drawn_tokens)::BIGINT AS drawn_tokens
    FROM draws GROUP BY ALL
) USING (domain, length_bucket)
ORDER BY domain, length_bucket;

-- A row is a domain: its share of the tokens that dedup kept, and of the tokens in the mix.
CREATE VIEW shares AS
SELECT domain, sum(tokens)::BIGINT AS tokens, sum(drawn_tokens)::BIGINT AS drawn_tokens,
    sum(tokens) / sum(sum(tokens)) OVER () AS corpus_share,
    sum(drawn_tokens) / sum(sum(drawn_tokens)) OVER () AS mix_share
FROM lengths GROUP BY domain ORDER BY domain;

-- A row is a domain and a kind (short, long): tokens that the plan requests, has available, draws and excludes.
CREATE VIEW targets AS
SELECT * EXCLUDE (shard, row), target_tokens - drawn_tokens AS shortfall_tokens FROM tables.targets ORDER BY shard, row;

-- A row is a domain and a reason for which the plan draws no document: how many kept documents, their tokens, and those as
-- a share of the domain's. repeats, list, stitched and the model's reasons are those in plan.select.drop; outranked: a
-- document below plan.select.top_share; over_share: one above plan.max_document_share.
CREATE VIEW left_out AS
SELECT domain, reason, l.documents, l.tokens, l.tokens / k.tokens AS domain_share
FROM (
    SELECT domain, coalesce(refused, reason) AS reason, count(*) AS documents, sum(n_tokens)::BIGINT AS tokens
    FROM scores
    WHERE n_tokens IS NOT NULL AND list_contains(getvariable('dropped_reasons'), coalesce(refused, reason))
    GROUP BY ALL
    UNION ALL
    SELECT domain, 'outranked', sum(not_selected_documents)::BIGINT, sum(not_selected_tokens)::BIGINT
    FROM tables.targets GROUP BY domain HAVING sum(not_selected_documents) > 0
    UNION ALL
    SELECT domain, 'over_share', sum(over_share_documents)::BIGINT, sum(over_share_tokens)::BIGINT
    FROM tables.targets GROUP BY domain HAVING sum(over_share_documents) > 0
) l JOIN (SELECT domain, tokens FROM shares) k USING (domain)
ORDER BY domain, l.tokens DESC, reason;

-- A row is the version: numbers of tokens, sequences, segments and documents, and the share of the sequences that is
-- filled with tokens of documents; pad_tokens are those that belong to no document. rejected counts the rows of `rejected`,
-- refused those whose stage is encode. screened and scored count documents with cheap and chunk_gain scores, NULL if the
-- recipe has no such scores.
CREATE VIEW totals AS
SELECT tokens, pad_tokens, sequences, segments, documents, kept, rejected, refused, screened, scored,
    getvariable('sequence_tokens') AS sequence_tokens,
    tokens / nullif(sequences * getvariable('sequence_tokens'), 0) AS fill_share
FROM (
    SELECT coalesce(sum(n_tokens - n_pad), 0)::BIGINT AS tokens, coalesce(sum(n_pad), 0)::BIGINT AS pad_tokens,
        count(*) AS sequences,
        coalesce(sum(n_segments), 0)::BIGINT AS segments
    FROM sequences
), (
    SELECT count(*) AS documents, count(*) FILTER (verdict = 'kept') AS kept FROM documents
), (
    SELECT count(*) AS rejected, count(*) FILTER (stage = 'encode') AS refused FROM rejected
), (
    SELECT nullif(count(*), 0) AS screened, CASE WHEN count(status) > 0 THEN count(score) END AS scored FROM scores
);

-- A row is a license of documents in the mix, as stated by their source; NULL if none is stated.
CREATE VIEW licenses AS
SELECT license, count(DISTINCT document_id) AS documents, sum(drawn_tokens)::BIGINT AS drawn_tokens
FROM draws JOIN (SELECT document_id, license FROM documents WHERE verdict = 'kept') USING (document_id)
GROUP BY license ORDER BY drawn_tokens DESC, license;

-- A row is the largest kept document of a domain, and its share of the tokens that dedup kept there.
CREATE VIEW largest AS
SELECT domain, n_tokens / sum(n_tokens) OVER (PARTITION BY domain) AS domain_share, n_tokens, source, file, document_id
FROM documents WHERE token_status = 'encoded'
QUALIFY row_number() OVER (PARTITION BY domain ORDER BY n_tokens DESC, document_id) = 1
ORDER BY domain_share DESC, domain;

-- A row is a pair of kept documents: at least nine tenths of the first are in the second, which is at least three times
-- as large. For example, a page and a file with all pages of its site. Their Jaccard similarity is tiny, so dedup drops
-- neither. Estimated from at least 5 sampled shingles (one of 64 is sampled), without those of more than 64 documents.
CREATE VIEW contained AS
WITH marks AS (
    SELECT d.document_id, d.domain, s.n_shingles, unnest(s.sketch) AS mark
    FROM tables.signatures s JOIN documents d USING (shard, row) WHERE d.verdict = 'kept'
), rare AS (
    SELECT document_id, domain, n_shingles, mark, count(*) OVER (PARTITION BY document_id) AS n
    FROM (SELECT * FROM marks QUALIFY count(*) OVER (PARTITION BY mark) <= 64)
)
SELECT a.document_id, a.domain, a.n_shingles, b.document_id AS inside_id, b.domain AS inside_domain,
    b.n_shingles AS inside_shingles, count(*) / a.n AS containment
FROM rare a JOIN rare b ON a.mark = b.mark AND b.n_shingles >= 3 * a.n_shingles
WHERE a.n >= 5
GROUP BY a.document_id, a.domain, a.n_shingles, a.n, b.document_id, b.domain, b.n_shingles
HAVING containment >= 0.9;

-- A row is a kept document that contains others: how many, and their shingles as a share of its own, at most 1.
CREATE VIEW containers AS
SELECT c.inside_id AS document_id, c.inside_domain AS domain, d.source, d.file, count(*) AS documents_inside,
    least(1, sum(c.n_shingles) / c.inside_shingles) AS inside_share
FROM contained c JOIN documents d ON d.document_id = c.inside_id AND d.verdict = 'kept'
GROUP BY c.inside_id, c.inside_domain, d.source, d.file, c.inside_shingles ORDER BY documents_inside DESC, document_id;

-- A row is a drawn document of a mix with an order: its place on its group's path, NULL if it left the path as a near copy.
-- No two documents of a near_set share a sequence.
CREATE VIEW paths AS
SELECT shard AS group_number, partition, place, document_id, restarts, similarity_to_previous, near_set,
    centre_similarity, len(neighbours) AS n_neighbours, shard, row
FROM tables."ORDER";

-- A row is a group of a mix with an order: how alike consecutive documents of its path are. most_similarity is a mean that
-- no path through compared documents can exceed: half the sum of each document's two nearest, of those that it lists and
-- those beside it on the path. near_copies left the path; largest_near_set is the most documents of one near_set. restarts
-- does not count the beginning of the path.
CREATE VIEW path_quality AS
WITH beside AS (
    SELECT shard, neighbours, similarities, similarity_to_previous AS before, lag(row) OVER path AS row_before,
        lead(similarity_to_previous) OVER path AS after, lead(row) OVER path AS row_after
    FROM tables."ORDER" WHERE place IS NOT NULL WINDOW path AS (PARTITION BY shard ORDER BY place)
), nearest AS (
    SELECT shard, list_sort(list_concat(
        similarities[1:2],
        CASE WHEN before IS NOT NULL AND NOT list_contains(neighbours, row_before) THEN [before] END,
        CASE WHEN after IS NOT NULL AND NOT list_contains(neighbours, row_after) THEN [after] END
    ), 'DESC') AS two
    FROM beside
), most AS (
    SELECT shard, sum(micro(coalesce(two[1], 0)) + micro(coalesce(two[2], 0))) / 2e6 AS similarity FROM nearest GROUP BY shard
), sets AS (
    SELECT shard, max(n) AS largest_near_set
    FROM (SELECT shard, count(*) AS n FROM tables."ORDER" WHERE near_set IS NOT NULL GROUP BY shard, near_set) GROUP BY shard
)
SELECT o.shard AS group_number, count(*) AS documents, count(place) AS on_path, count(*) - count(place) AS near_copies,
    coalesce(any_value(largest_near_set), 0) AS largest_near_set, count(*) FILTER (restarts AND place > 0) AS restarts,
    mean_micro(similarity_to_previous) AS mean_similarity,
    CASE WHEN count(similarity_to_previous) > 0 THEN any_value(most.similarity) / (count(place) - 1) END AS most_similarity
FROM tables."ORDER" o LEFT JOIN most ON most.shard = o.shard LEFT JOIN sets ON sets.shard = o.shard
GROUP BY o.shard ORDER BY o.shard;

-- A row is a group of a mix with an order: of the ten nearest of each document, how many share a sequence with it. most is
-- the number that the sequences have room for.
CREATE VIEW nearest_together AS
WITH rows AS (
    SELECT DISTINCT document_id, sequence_id FROM segments
), sizes AS (
    SELECT document_id, max(n - 1) AS others
    FROM rows JOIN (SELECT sequence_id, count(*) AS n FROM rows GROUP BY sequence_id) USING (sequence_id)
    GROUP BY document_id
), listed AS (
    SELECT shard, row, document_id, unnest(neighbours) AS other FROM tables."ORDER"
), pairs AS (
    SELECT l.shard, l.document_id, l.other, count(b.sequence_id) > 0 AS together
    FROM listed l
    JOIN tables."ORDER" o ON o.shard = l.shard AND o.row = l.other
    JOIN rows a ON a.document_id = l.document_id
    LEFT JOIN rows b ON b.document_id = o.document_id AND b.sequence_id = a.sequence_id
    GROUP BY l.shard, l.document_id, l.other
)
SELECT shard AS group_number, sum(n)::BIGINT AS nearest, sum(together)::BIGINT AS together,
    sum(least(n, others))::BIGINT AS most
FROM (SELECT shard, document_id, count(*) AS n, count(*) FILTER (together) AS together FROM pairs GROUP BY ALL)
JOIN sizes USING (document_id)
GROUP BY shard ORDER BY shard;

-- A row is the version, if its documents have vectors: the mean cosine of two documents of one sequence, of one sequence and
-- the next, and of any two sequences. Of 32 sequences chosen by a hash, and those after them. most is the mean cosine with
-- the ten nearest.
CREATE VIEW window_similarity AS
WITH chosen AS (
    SELECT sequence_id FROM sequences ORDER BY md5(sequence_id::VARCHAR) LIMIT 32
), sampled AS (
    SELECT sequence_id FROM chosen UNION SELECT sequence_id + 1 FROM chosen
), members AS (
    SELECT DISTINCT sequence_id, document_id FROM segments SEMI JOIN sampled USING (sequence_id)
), vectors AS (
    SELECT DISTINCT ON (document_id) document_id, vector FROM tables.embeddings
    WHERE vector IS NOT NULL AND document_id IN (SELECT document_id FROM members)
), elements AS (
    SELECT sequence_id, micro(unnest(vector)) AS x, generate_subscripts(vector, 1) AS i
    FROM members JOIN vectors USING (document_id)
), sums AS (
    SELECT sequence_id, i, sum(x) AS s, count(*) AS n FROM elements GROUP BY sequence_id, i
), within AS (
    SELECT sequence_id, any_value(n) AS n, sum(s * s) - any_value(n) * 1_000_000_000_000 AS squared
    FROM sums GROUP BY sequence_id
), following AS (
    SELECT sum(a.s * b.s) / (any_value(a.n) * any_value(b.n)) / 1e12 AS cosine
    FROM sums a JOIN sums b ON b.sequence_id = a.sequence_id + 1 AND b.i = a.i
    WHERE a.sequence_id IN (SELECT sequence_id FROM chosen) GROUP BY a.sequence_id
), everything AS (
    SELECT sum(s * s) AS squared FROM (SELECT i, sum(s) AS s FROM sums GROUP BY i)
)
SELECT count(*) AS sequences, sum(n)::BIGINT AS documents,
    sum(squared) / 1e12 / nullif(sum(n * (n - 1)), 0) AS same_sequence,
    (SELECT mean_micro(cosine) FROM following) AS next_sequence,
    (any_value(e.everything) - sum(squared + n * 1_000_000_000_000)) / 1e12 / nullif(sum(n) * sum(n) - sum(n * n), 0)
        AS other_sequence,
    (SELECT mean_micro(list_avg(similarities)) FROM tables."ORDER" WHERE len(similarities) > 0) AS most
FROM within, (SELECT squared AS everything FROM everything) e HAVING count(*) > 0;

-- A row is a partition of the vectors of a mix with an order: its documents and their mean cosine with its centre, when the
-- partition was made and now. A refresh keeps partitions; a falling cosine is their drift.
CREATE VIEW partitions AS
SELECT c.partition, c.group_number, c.n_documents AS documents_then, c.mean_similarity AS similarity_then,
    count(p.document_id) AS documents, mean_micro(p.centre_similarity) AS similarity
FROM tables.centroids c LEFT JOIN paths p ON p.partition = c.partition
GROUP BY ALL ORDER BY c.partition;

-- A row is a group of draws, which is a published file: its tokens, and half the sum of the differences between its domain
-- shares and those of the mix.
CREATE VIEW draw_groups AS
WITH cells AS (
    SELECT shard, domain, sum(document_stop - document_start) AS tokens FROM tables.draws GROUP BY ALL
), mix AS (
    SELECT domain, sum(tokens) AS tokens FROM cells GROUP BY domain
), whole AS (
    SELECT sum(tokens) AS tokens FROM mix
), groups AS (
    SELECT shard, sum(tokens) AS tokens FROM cells GROUP BY shard
)
SELECT g.shard AS group_number, any_value(g.tokens)::BIGINT AS tokens,
    sum(abs(coalesce(c.tokens, 0) * w.tokens - m.tokens * g.tokens)) / any_value(2 * g.tokens * w.tokens) AS distance
FROM groups g CROSS JOIN whole w CROSS JOIN mix m LEFT JOIN cells c ON c.shard = g.shard AND c.domain = m.domain
GROUP BY g.shard ORDER BY g.shard;

-- A row is a chunk of a mix packed by negative_extension, in its place. after_document_id and after_start name the chunk that
-- it follows as a neighbour, and similarity is the cosine of the two. These are NULL for a chunk that is there in its turn, as
-- the next one of its document. The first path chunk of a sequence is there in its turn; behind a chunk in its turn come those
-- that it lists, at most pack.negative_neighbours, and then the next one in its turn.
CREATE VIEW chunks AS
WITH RECURSIVE placed AS (
    SELECT s.sequence_id, s.place, c.*,
        row_number() OVER (PARTITION BY s.sequence_id ORDER BY s.place, c.document_start) AS position
    FROM tables.chunks c JOIN segments s
        ON s.document_id = c.document_id AND s.epoch = 0 AND c.document_start >= s.document_start
        AND c.document_start < s.document_stop
), listed AS (
    SELECT sequence_id, shard, position, unnest(neighbours) AS other, unnest(similarities) AS similarity FROM placed
), pairs AS (
    SELECT l.sequence_id, l.position, p.row, l.similarity, p.position - l.position AS distance,
        row_number() OVER (PARTITION BY l.sequence_id, l.position ORDER BY p.position) AS n
    FROM listed l JOIN placed p
        ON p.sequence_id = l.sequence_id AND p.shard = l.shard AND p.row = l.other
        AND p.position - l.position BETWEEN 1 AND getvariable('negative_neighbours')
), steps AS (
    SELECT p.sequence_id, p.position, p.position + 1 + count(*) FILTER (distance = n) AS following
    FROM placed p LEFT JOIN pairs USING (sequence_id, position) GROUP BY p.sequence_id, p.position
), turns AS (
    SELECT DISTINCT sequence_id, 1::BIGINT AS position FROM placed
    UNION ALL
    SELECT sequence_id, following FROM turns JOIN steps USING (sequence_id, position)
), after AS (
    SELECT a.shard, b.row, a.document_id, a.document_start, b.similarity
    FROM turns JOIN placed a USING (sequence_id, position) JOIN pairs b USING (sequence_id, position) WHERE distance = n
)
SELECT sequence_id, place, p.document_id, p.document_start, document_stop, is_near_copy, similarities[1] AS most_similarity,
    a.document_id AS after_document_id, a.document_start AS after_start, a.similarity, shard, row
FROM placed p LEFT JOIN after a USING (shard, row);

-- A row is a group of a mix packed by negative_extension: its chunks, those that follow one of their neighbours and how
-- similar these are, and parted, the documents in more than one segment. most_similarity is the mean cosine of a chunk with
-- its nearest. near_copies are chunks that are no neighbour of any.
CREATE VIEW extension AS
WITH documents_of AS (
    SELECT shard, document_id, count(DISTINCT (sequence_id, place)) > 1 AS is_parted FROM chunks GROUP BY shard, document_id
), parted AS (
    SELECT shard, count(*) AS documents, count(*) FILTER (is_parted) AS parted FROM documents_of GROUP BY shard
)
SELECT c.shard AS group_number, any_value(documents) AS documents, any_value(parted) AS parted, count(*) AS chunks,
    count(*) FILTER (is_near_copy) AS near_copies, count(similarity) AS extended,
    mean_micro(similarity) AS mean_similarity, mean_micro(most_similarity) AS most_similarity
FROM chunks c JOIN parted USING (shard) GROUP BY c.shard ORDER BY c.shard;

-- A row is the version: how its sequences are filled. forced_cuts counts copies longer than a sequence, avoidable_cuts
-- others in more than one sequence; documents that negative_extension divides count in neither. attention_share is the part
-- of all pairs of a token and an earlier one that are in one segment. path_pairs are consecutive documents of a path,
-- adjacent_pairs those of them whose segments are adjacent in a sequence.
CREATE VIEW packing AS
WITH copies AS (
    SELECT document_id, epoch, min(sequence_id) < max(sequence_id) AS is_cut, sum(document_stop - document_start) AS tokens
    FROM segments s ANTI JOIN tables.chunks c ON c.document_id = s.document_id AND s.epoch = 0
    GROUP BY document_id, epoch
), cuts AS (
    SELECT count(*) FILTER (is_cut AND tokens > getvariable('sequence_tokens')) AS forced_cuts,
        count(*) FILTER (is_cut AND tokens <= getvariable('sequence_tokens')) AS avoidable_cuts
    FROM copies
), pairs AS (
    SELECT sum((sequence_stop - sequence_start)::HUGEINT * (sequence_stop - sequence_start)) AS inside FROM segments
), rows AS (
    SELECT count(*) AS sequences, sum(n_tokens::HUGEINT * n_tokens) AS every, sum(n_segments) AS segments,
        sum(n_tokens) AS tokens
    FROM sequences
), beside AS (
    SELECT count(*) FILTER (previous = path_position - 1) AS adjacent_pairs
    FROM (
        SELECT path_position, lag(path_position) OVER (PARTITION BY sequence_id ORDER BY place) AS previous FROM segments
    )
), path AS (
    SELECT count(place) - count(DISTINCT group_number) FILTER (place IS NOT NULL) AS path_pairs FROM paths
)
SELECT sequences, 1 - tokens / nullif(sequences * getvariable('sequence_tokens'), 0) AS padding_share,
    segments / nullif(sequences, 0) AS segments_per_sequence, forced_cuts, avoidable_cuts,
    (inside / nullif(every, 0))::DOUBLE AS attention_share, nullif(path_pairs, 0) AS path_pairs,
    CASE WHEN path_pairs > 0 THEN adjacent_pairs END AS adjacent_pairs
FROM rows, cuts, pairs, beside, path;

-- A row is an instruction sample that dedup kept: its lengths in tokens, its raw parts and its normalised scores. why is top
-- or short if it is chosen, else reason says why not. place is its place among all candidates, the best first; similar_id
-- is the chosen sample that it is similar to. context_tokens and response_tokens are complete, as in SAMPLES. A narrow
-- terminal shows the first and the last columns.
CREATE VIEW samples AS
SELECT
    r.place, r.why, r.reason, d.domain, d.source, d.document_id, d.content_hash, d.license, s.status AS token_status,
    r.shard, r.row, d.length_bucket, s.context_stop - s.context_start AS context_tokens,
    s.response_stop - s.response_start AS response_tokens, s.n_responses, s.has_marker,
    h.status AS hmg_status, h.reason AS hmg_reason, h.nll_gain, h.nll_long, h.nll_short, h.nll_no_context, h.nll_alone,
    h.ifd, h.is_cut, c.status AS cam_status, c.reason AS cam_reason, c.alignment, c.alignment_mass, c.spearman,
    c.divergence, c.n_segments, r.similar_id, s.n_tokens, r.hmg, r.cam, r.score
FROM tables.samples s
JOIN documents d ON d.shard = s.shard AND d.row = s.row
JOIN tables.ranks r ON r.shard = s.shard AND r.row = s.row
LEFT JOIN tables.scores_hmg h ON h.shard = s.shard AND h.row = s.row
LEFT JOIN tables.scores_cam c ON c.shard = s.shard AND c.row = s.row
WHERE d.verdict = 'kept';

-- A row is a chosen sample, with its source and license. rank counts from 1; it is NULL for a short instruction.
CREATE VIEW chosen AS
SELECT c.* EXCLUDE (shard, row), s.source, s.license, s.nll_gain, s.nll_long, s.alignment
FROM tables.chosen c JOIN samples s ON s.document_id = c.document_id
ORDER BY c.row;

-- A row is a domain and what became of its samples: top and short are in the set, other rows are a reason why not.
CREATE VIEW choices AS
SELECT domain, why, reason, count(*) AS samples, coalesce(sum(n_tokens), 0)::BIGINT AS tokens
FROM samples GROUP BY ALL ORDER BY domain, why NULLS LAST, samples DESC, reason;

-- A row is a domain and whether its samples are in the set: means of raw parts and of lengths in tokens, over candidates
-- (top, and those that were outranked or passed over as similar). Nll in nats a token of the response.
CREATE VIEW chosen_by_domain AS
SELECT domain, why IS NOT NULL AS is_chosen, count(*) AS samples, mean_micro(nll_gain) AS nll_gain,
    mean_micro(nll_long) AS nll_long, mean_micro(nll_short) AS nll_short, mean_micro(ifd) AS ifd,
    mean_micro(alignment) AS alignment, sum(n_tokens) / count(*) AS n_tokens, sum(context_tokens) / count(*) AS context_tokens,
    sum(response_tokens) / count(*) AS response_tokens
FROM samples WHERE place IS NOT NULL GROUP BY domain, is_chosen ORDER BY domain, is_chosen DESC;

-- A row is a part (hmg, cam), a status and a reason: how many kept samples have it.
CREATE VIEW influence_status AS
SELECT part, status, reason, count(*) AS samples
FROM (
    SELECT 'hmg' AS part, hmg_status AS status, hmg_reason AS reason FROM samples
    UNION ALL SELECT 'cam', cam_status, cam_reason FROM samples
)
WHERE status IS NOT NULL GROUP BY ALL ORDER BY part DESC, samples DESC, status, reason;

-- A row is a cell of the quotas: how many samples may be chosen there, how many the recipe asks for and how many are in the
-- set. similar candidates were passed over. Its shortfall is not substituted.
CREATE VIEW quotas AS
SELECT * EXCLUDE (shard, row), target - chosen AS shortfall FROM tables.quotas ORDER BY row;
