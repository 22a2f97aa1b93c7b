-- The laws of the tables. Each query returns the rows that violate its law; a build with any such row fails.
-- A set of instruction samples has no TOKENS, no TARGETS and no SEQUENCES; SAMPLES and SFT_SEQUENCES stand in their place.
-- Variables: threshold (of dedup), sequence_tokens, pad_documents_to (1 if nothing is padded) and n_knots (of pack),
-- budget_tokens, long_tokens and max_epochs (of plan; NULL in a set of samples), eos_id and bos_id (of encode; bos_id is NULL if the recipe has no BOS).

-- law: DUPLICATES and TOKENS have a row for each row of DOCUMENTS
SELECT d.shard, count(*) AS documents, any_value(u.n) AS duplicates, any_value(t.n) AS tokens
FROM tables.documents d
LEFT JOIN (SELECT shard, count(*) AS n FROM tables.duplicates GROUP BY shard) u USING (shard)
LEFT JOIN (SELECT shard, count(*) AS n FROM encoded GROUP BY shard) t USING (shard)
GROUP BY d.shard
HAVING any_value(u.n) IS DISTINCT FROM count(*) OR any_value(t.n) IS DISTINCT FROM count(*);

-- law: every record of a shard is in DOCUMENTS or in REJECTED, exactly once
SELECT shard, count(*) AS rows, count(DISTINCT record) AS records, max(record) AS last
FROM (SELECT shard, record FROM tables.documents UNION ALL SELECT shard, record FROM tables.rejected)
GROUP BY shard HAVING count(*) <> max(record) + 1 OR count(DISTINCT record) <> count(*);

-- law: DUPLICATES and TOKENS are in the order of DOCUMENTS
SELECT d.shard, d.row, d.document_id, u.document_id AS of_duplicates, t.document_id AS of_tokens
FROM tables.documents d JOIN tables.duplicates u USING (shard, row) JOIN encoded t USING (shard, row)
WHERE d.document_id <> u.document_id OR d.document_id <> t.document_id;

-- law: a document has the status dropped in TOKENS exactly when dedup dropped it
SELECT u.shard, u.row, u.document_id, u.verdict, t.status
FROM tables.duplicates u JOIN encoded t USING (shard, row) WHERE (u.verdict = 'kept') = (t.status = 'dropped');

-- law: in TOKENS, reason is non-NULL exactly when status = 'refused', n_tokens exactly when status = 'encoded'
SELECT shard, row, document_id, status, reason, fell_back, decodes, n_tokens FROM encoded
WHERE status NOT IN ('encoded', 'dropped', 'refused')
    OR reason NOT IN ('no_token', 'eos_in_text', 'bos_in_text', 'marker_in_text', 'tokenizer_error')
    OR fell_back NOT IN ('hostile', 'document')
    OR (status = 'refused') <> (reason IS NOT NULL) OR (status = 'encoded') <> (n_tokens IS NOT NULL)
    OR (status <> 'encoded' AND decodes IS NOT NULL);

-- law: input_ids has n_tokens elements: EOS once and last; BOS, if the recipe has one, once and first
SELECT shard, row, document_id, n_tokens, len(input_ids) AS length FROM tables.tokens
WHERE (n_tokens IS NULL) <> (input_ids IS NULL) OR n_tokens <> len(input_ids)
    OR coalesce(list_position(input_ids, getvariable('eos_id')), -1) <> n_tokens
    OR (n_tokens IS NOT NULL AND coalesce(input_ids[1], -1) <> getvariable('bos_id'))
    OR (getvariable('bos_id') IS NOT NULL AND list_contains(input_ids[2:], getvariable('bos_id')));

-- law: ids and texts of kept documents are unique
SELECT document_id, content_hash, count(*) AS n FROM documents WHERE verdict = 'kept'
GROUP BY GROUPING SETS ((document_id), (content_hash)) HAVING n > 1;

-- law: verdict is kept, exact or near; kept_id and similarity are NULL exactly when it is kept
SELECT document_id, verdict, kept_id, similarity FROM tables.duplicates
WHERE verdict NOT IN ('kept', 'exact', 'near') OR (verdict = 'kept') <> (kept_id IS NULL)
    OR (verdict = 'kept') <> (similarity IS NULL);

-- law: kept_id of a dropped document names a kept document, and similarity is at least the threshold
SELECT u.document_id, u.kept_id, u.similarity
FROM tables.duplicates u LEFT JOIN tables.duplicates k ON k.document_id = u.kept_id AND k.verdict = 'kept'
WHERE u.verdict <> 'kept' AND (k.document_id IS NULL OR u.similarity < getvariable('threshold'));

-- law: an exact duplicate has the same text as its survivor, a near duplicate another text
SELECT u.document_id, u.kept_id
FROM documents u JOIN documents k ON k.document_id = u.kept_id AND k.verdict = 'kept'
WHERE u.verdict IN ('exact', 'near') AND (u.verdict = 'exact') <> (u.content_hash = k.content_hash);

-- law: BUDGET and the tables of scores are empty, or have a row for each row of DOCUMENTS, in the same order
SELECT kind, shard, row
FROM (SELECT kind, shard, row, document_id FROM tables.documents CROSS JOIN (SELECT DISTINCT kind FROM judged)) d
FULL JOIN judged j USING (kind, shard, row)
WHERE d.document_id IS DISTINCT FROM j.document_id;

-- law: score is non-NULL exactly when status = 'scored', reason exactly when it is not; no value is NaN
SELECT kind, shard, row, status, reason, part, value FROM score_values
WHERE isnan(value) OR is_score AND (
    status NOT IN ('scored', 'too_short', 'not_scored', 'dropped', 'error')
    OR (status = 'scored') <> (value IS NOT NULL) OR (status = 'scored') <> (reason IS NULL)
);

-- law: a document has as many pairs as its n_pairs in BUDGET, all inside the document and distinct
SELECT g.shard, g.row, b.n_pairs, len(g.pairs) AS measured
FROM tables.scores_chunk_gain g JOIN tables.budget b USING (shard, row)
WHERE b.n_pairs <> len(g.pairs) OR g.n_near + g.n_far <> len(g.pairs)
    OR len(list_filter(g.pairs, lambda p: p.target >= g.n_chunks OR p.context >= p.target OR p.context < 0)) > 0
    OR len(list_distinct(list_transform(g.pairs, lambda p: p.target * g.n_chunks::BIGINT + p.context))) <> len(g.pairs);

-- law: a document has the status dropped exactly when dedup dropped it
SELECT u.shard, u.row, j.kind, j.status FROM tables.duplicates u JOIN judged j USING (shard, row)
WHERE (u.verdict = 'kept') = (j.status = 'dropped');

-- law: a refused document has no scores and no pairs, for that reason
SELECT t.shard, t.row, t.document_id, v.kind, v.status, v.reason, v.value
FROM encoded t JOIN score_values v USING (shard, row)
WHERE t.status = 'refused' AND (v.value IS NOT NULL OR v.status <> 'not_scored' OR v.reason <> 'refused')
UNION ALL
SELECT t.shard, t.row, t.document_id, 'budget', NULL, b.why, b.n_pairs
FROM encoded t JOIN tables.budget b USING (shard, row)
WHERE t.status = 'refused' AND (b.n_pairs <> 0 OR b.why <> 'refused');

-- law: a draw is a token range of an encoded document
SELECT w.document_id, w.document_start, w.document_stop, d.n_tokens
FROM draws w LEFT JOIN documents d ON d.document_id = w.document_id AND d.token_status = 'encoded'
WHERE d.document_id IS NULL OR d.n_tokens <> w.n_tokens OR d.domain <> w.domain OR d.content_hash <> w.content_hash
    OR w.document_start < 0 OR w.document_stop > w.n_tokens OR w.document_stop <= w.document_start;

-- law: a document is drawn at most once per epoch, in consecutive epochs from 0
SELECT document_id, count(*) AS draws, count(DISTINCT epoch) AS epochs, max(epoch) AS last
FROM draws GROUP BY document_id
HAVING count(*) <> count(DISTINCT epoch) OR max(epoch) <> count(*) - 1 OR min(epoch) <> 0;

-- law: no draw is of a document that plan.select drops
SELECT w.document_id, w.domain, coalesce(s.refused, s.reason) AS reason
FROM draws w JOIN scores s USING (document_id)
WHERE list_contains(getvariable('dropped_reasons'), coalesce(s.refused, s.reason));

-- law: the mix has at most budget_tokens tokens
SELECT sum(drawn_tokens) AS drawn, getvariable('budget_tokens') AS budget FROM draws
HAVING sum(drawn_tokens) > getvariable('budget_tokens');

-- law: TARGETS has a row for each domain and kind
SELECT domain, list(kind ORDER BY kind) AS kinds FROM tables.targets GROUP BY domain HAVING kinds <> ['long', 'short']
UNION ALL
SELECT DISTINCT domain, [] FROM documents ANTI JOIN tables.targets USING (domain)
WHERE getvariable('budget_tokens') IS NOT NULL AND token_status = 'encoded' AND n_tokens > 0;

-- law: target_tokens sum to budget_tokens
SELECT sum(target_tokens) AS target_tokens, getvariable('budget_tokens') AS budget_tokens FROM tables.targets
HAVING sum(target_tokens) IS DISTINCT FROM getvariable('budget_tokens');

-- law: available_tokens is max_epochs times the tokens of the cell's encoded documents that are not excluded
SELECT domain, kind, available_tokens, over_share_tokens, dropped_tokens, not_selected_tokens, kept.tokens
FROM tables.targets LEFT JOIN (
    SELECT domain, kind_of(n_tokens) AS kind, sum(n_tokens) AS tokens
    FROM documents WHERE token_status = 'encoded' GROUP BY ALL
) kept USING (domain, kind)
WHERE available_tokens
    <> getvariable('max_epochs')
        * (coalesce(kept.tokens, 0) - over_share_tokens - dropped_tokens - not_selected_tokens);

-- law: dropped_documents and dropped_tokens are those of the encoded documents with a reason in plan.select.drop
SELECT domain, kind, t.dropped_documents, t.dropped_tokens, d.documents, d.tokens
FROM tables.targets t FULL JOIN (
    SELECT domain, kind_of(n_tokens) AS kind, count(*) AS documents, sum(n_tokens) AS tokens
    FROM scores
    WHERE n_tokens IS NOT NULL AND list_contains(getvariable('dropped_reasons'), coalesce(refused, reason))
    GROUP BY ALL
) d USING (domain, kind)
WHERE t.dropped_documents IS DISTINCT FROM coalesce(d.documents, 0)
    OR t.dropped_tokens IS DISTINCT FROM coalesce(d.tokens, 0);

-- law: a cell of TARGETS leaves out no tokens without a document, and no document without tokens
SELECT domain, kind, over_share_documents, over_share_tokens, dropped_documents, dropped_tokens,
    not_selected_documents, not_selected_tokens
FROM tables.targets
WHERE over_share_documents NOT BETWEEN sign(over_share_tokens) AND over_share_tokens
    OR dropped_documents NOT BETWEEN sign(dropped_tokens) AND dropped_tokens
    OR not_selected_documents NOT BETWEEN sign(not_selected_tokens) AND not_selected_tokens;

-- law: drawn_tokens is the smaller of target_tokens and available_tokens, and equals the cell's tokens in DRAWS
SELECT domain, kind, target_tokens, available_tokens, t.drawn_tokens, drawn.tokens
FROM tables.targets t FULL JOIN (
    SELECT domain, kind_of(n_tokens) AS kind, sum(drawn_tokens) AS tokens
    FROM draws GROUP BY ALL
) drawn USING (domain, kind)
WHERE getvariable('budget_tokens') IS NOT NULL AND (
    t.drawn_tokens IS DISTINCT FROM least(target_tokens, available_tokens)
    OR coalesce(t.drawn_tokens, 0) <> coalesce(drawn.tokens, 0)
);

-- law: sequence_id is (group << 32) + the row in the group's file
SELECT shard, row, sequence_id FROM packed WHERE sequence_id <> (shard::BIGINT << 32) + row;

-- law: in SEQUENCES, n_tokens is the length of input_ids, from 1 to sequence_tokens
SELECT sequence_id, n_tokens, length
FROM (
    SELECT sequence_id, n_tokens, len(input_ids) AS length FROM tables.sequences
    UNION ALL SELECT sequence_id, n_tokens, len(input_ids) FROM tables.sft_sequences
)
WHERE n_tokens <> length OR n_tokens > getvariable('sequence_tokens') OR n_tokens < 1;

-- law: cu_seqlens has one element more than segments, the first is 0 and the last n_tokens
SELECT sequence_id, n_tokens, cu_seqlens FROM packed
WHERE cu_seqlens[1] <> 0 OR cu_seqlens[-1] <> n_tokens OR len(cu_seqlens) <> len(segments) + 1;

-- law: each segment has a token of its document, and its length is that given by cu_seqlens, n_pad included
SELECT sequence_id, place, document_start, document_stop, n_pad, sequence_start, sequence_stop FROM segments
WHERE document_stop - document_start + n_pad <> sequence_stop - sequence_start OR document_stop <= document_start
    OR n_pad < 0;

-- law: n_pad fills a segment up to a multiple of pad_documents_to, or is the marker after a chunk, or 0
SELECT sequence_id, place, document_start, document_stop, n_pad, sequence_start, sequence_stop FROM segments
WHERE (sequence_stop - sequence_start) % getvariable('pad_documents_to') <> 0
    OR n_pad >= greatest(getvariable('pad_documents_to'), CASE WHEN getvariable('n_knots') > 0 THEN 2 ELSE 1 END);

-- law: every drawn token is in exactly one segment, and no other token is in any
SELECT coalesce(s.document_id, w.document_id) AS document_id, coalesce(s.epoch, w.epoch) AS epoch, w.drawn_tokens,
    s.n AS in_segments
FROM (
    SELECT document_id, epoch, sum(document_stop - document_start) AS n, min(document_start) AS first,
        max(document_stop) AS last, bool_and(follows) AS joined
    FROM (
        SELECT *, document_start = lag(document_stop, 1, document_start)
            OVER (PARTITION BY document_id, epoch ORDER BY document_start) AS follows
        FROM segments
    ) GROUP BY document_id, epoch
) s
FULL JOIN draws w ON w.document_id = s.document_id AND w.epoch = s.epoch
WHERE s.n IS DISTINCT FROM w.drawn_tokens OR s.first <> w.document_start OR s.last <> w.document_stop OR NOT s.joined;

-- law: copies of a document never share a sequence
SELECT sequence_id, document_id, count(DISTINCT epoch) AS copies
FROM segments GROUP BY ALL HAVING count(DISTINCT epoch) > 1;

-- law: EMBEDDINGS is empty, or has a row for each row of DOCUMENTS, in the same order; a vector exactly where embedded
SELECT d.shard, d.row, e.document_id, e.status FROM tables.documents d FULL JOIN tables.embeddings e USING (shard, row)
WHERE (SELECT count(*) FROM tables.embeddings) > 0 AND (
    d.document_id IS DISTINCT FROM e.document_id OR e.status NOT IN ('embedded', 'not_drawn', 'empty')
    OR (e.status = 'embedded') <> (e.vector IS NOT NULL)
);

-- law: ORDER is empty, or has a row for each drawn document, in the group of its draws
SELECT coalesce(o.document_id, w.document_id) AS document_id, o.shard AS of_order, w.shard AS of_draws
FROM tables."ORDER" o FULL JOIN (SELECT * FROM tables.draws WHERE epoch = 0) w
    ON w.document_id = o.document_id AND w.shard = o.shard
WHERE (SELECT count(*) FROM tables."ORDER") > 0 AND (o.document_id IS NULL OR w.document_id IS NULL);

-- law: in ORDER, place counts from 0; after the path come near copies, without a place
SELECT shard, row, place, near_set FROM tables."ORDER"
WHERE place <> row OR (place IS NULL AND near_set IS NULL)
    OR (place = 0 AND (NOT restarts OR similarity_to_previous IS NOT NULL)) OR abs(similarity_to_previous) > 1.001
    OR (place IS NULL AND (restarts OR similarity_to_previous IS NOT NULL)) OR isnan(similarity_to_previous);

-- law: the neighbours of a document in ORDER are other documents of its path, the nearest first
SELECT o.shard, o.row, o.neighbours FROM tables."ORDER" o
WHERE len(neighbours) <> len(similarities) OR len(neighbours) > 10 OR list_contains(neighbours, row)
    OR list_reverse_sort(similarities) <> similarities OR len(list_distinct(neighbours)) <> len(neighbours)
    OR (place IS NULL AND len(neighbours) > 0);

-- law: a document is in the group of its partition
SELECT o.shard, o.row, o.partition, c.group_number FROM tables."ORDER" o LEFT JOIN tables.centroids c USING (partition)
WHERE (SELECT count(*) FROM tables.centroids) > 0 AND c.group_number IS DISTINCT FROM o.shard;

-- law: documents of one near_set never share a sequence
SELECT sequence_id, near_set, count(DISTINCT s.document_id) AS documents
FROM segments s JOIN tables."ORDER" o USING (document_id) WHERE near_set IS NOT NULL
GROUP BY ALL HAVING count(DISTINCT s.document_id) > 1;

-- law: path_position and similarity_to_previous are those of ORDER for a first copy, NULL for a further one
SELECT sequence_id, s.place, s.document_id, epoch, path_position, o.place AS order_place
FROM segments s LEFT JOIN tables."ORDER" o ON o.document_id = s.document_id AND s.epoch = 0
WHERE path_position IS DISTINCT FROM o.place
    OR s.similarity_to_previous IS DISTINCT FROM o.similarity_to_previous;

-- law: CHUNKS is empty, or divides the drawn tokens of each document of a path into consecutive chunks
SELECT coalesce(c.shard, w.shard) AS shard, coalesce(c.document_id, w.document_id) AS document_id, c.first, c.last
FROM (
    SELECT shard, document_id, min(document_start) AS first, max(document_stop) AS last,
        bool_and(document_start < document_stop AND document_start = previous) AS joined
    FROM (
        SELECT *, lag(document_stop, 1, document_start) OVER (PARTITION BY shard, document_id ORDER BY row) AS previous
        FROM tables.chunks
    ) GROUP BY shard, document_id
) c
FULL JOIN (
    SELECT w.* FROM tables.draws w JOIN tables."ORDER" o USING (shard, document_id)
    WHERE epoch = 0 AND place IS NOT NULL
) w USING (shard, document_id)
WHERE (SELECT count(*) FROM tables.chunks) > 0 AND (
    c.first IS DISTINCT FROM w.document_start OR c.last IS DISTINCT FROM w.document_stop OR NOT c.joined
);

-- law: the neighbours of a chunk are chunks of other documents, the nearest first; a near copy has none and is none
SELECT shard, row, neighbours FROM tables.chunks
WHERE len(neighbours) <> len(similarities) OR list_reverse_sort(similarities) <> similarities
    OR len(list_distinct(neighbours)) <> len(neighbours) OR (is_near_copy AND len(neighbours) > 0)
UNION ALL
SELECT c.shard, c.row, [c.other]
FROM (SELECT shard, row, document_id, unnest(neighbours) AS other FROM tables.chunks) c
LEFT JOIN tables.chunks o ON o.shard = c.shard AND o.row = c.other
WHERE o.document_id IS NULL OR o.document_id = c.document_id OR o.is_near_copy;

-- law: in SAMPLES, input_ids has n_tokens elements; context, scored response and responses are ordered inside them
SELECT shard, row, document_id, n_tokens, context_start, context_stop, response_start, response_stop, responses
FROM tables.samples
WHERE (status = 'encoded') <> (input_ids IS NOT NULL) OR (status = 'encoded') <> (n_tokens IS NOT NULL)
    OR (status = 'encoded') <> (responses IS NOT NULL) OR (status = 'encoded') <> (n_responses IS NOT NULL)
    OR status = 'encoded' AND NOT coalesce(
        n_tokens = len(input_ids) AND 0 <= context_start AND context_start <= context_stop
        AND context_stop <= response_start AND response_start <= response_stop AND response_stop <= n_tokens
        AND len(responses) BETWEEN 1 AND n_responses AND responses[1].start >= 0 AND responses[-1].stop <= n_tokens
        AND list_bool_and(list_transform(responses, lambda s: s.start < s.stop))
        AND list_bool_and(list_transform(responses, lambda s, i: i = 1 OR responses[i - 1].stop <= s.start)), false);

-- law: the scored response of a sample is one of its responses
SELECT shard, row, document_id, response_start, response_stop, responses FROM tables.samples
WHERE len(list_filter(responses, lambda s: s.start <= response_start AND response_stop <= s.stop)) = 0;

-- law: in SCORES_CAM, segment_nll, segment_tokens and each layer of attention have n_segments elements, none is NaN
SELECT shard, row, document_id, n_segments, segment_nll, segment_tokens FROM tables.scores_cam
WHERE (status = 'scored') <> (segment_nll IS NOT NULL) OR (status = 'scored') <> (attention IS NOT NULL)
    OR len(segment_nll) <> n_segments OR len(segment_tokens) <> n_segments
    OR list_bool_or(list_transform(attention, lambda l: len(l) <> n_segments OR len(list_filter(l, lambda x: isnan(x))) > 0))
    OR len(list_filter(segment_nll, lambda x: isnan(x))) > 0;

-- law: RANKS is empty, or has a row for each row of DOCUMENTS, in the same order; it has why or a reason, and no NaN
SELECT d.shard, d.row, r.document_id, r.why, r.reason FROM tables.documents d FULL JOIN tables.ranks r USING (shard, row)
WHERE (SELECT count(*) FROM tables.ranks) > 0 AND (
    d.document_id IS DISTINCT FROM r.document_id OR (r.why IS NULL) = (r.reason IS NULL)
    OR isnan(r.score) OR isnan(r.hmg) OR isnan(r.cam)
    OR (coalesce(r.reason IN ('outranked', 'similar'), false) OR coalesce(r.why = 'top', false)) <> (r.place IS NOT NULL)
    OR (r.reason IS NOT DISTINCT FROM 'similar') <> (r.similar_id IS NOT NULL)
);

-- law: a sample that dedup dropped or the tokenizer refused has that reason in RANKS
SELECT t.shard, t.row, t.document_id, t.status, r.why, r.reason
FROM encoded t JOIN tables.ranks r USING (shard, row)
WHERE (t.status <> 'encoded' AND r.reason IS DISTINCT FROM t.status)
    OR (t.status = 'encoded' AND r.reason IN ('dropped', 'refused'));

-- law: CHOSEN has a row for each sample that RANKS chooses, with the lengths of SAMPLES; none is longer than a sequence
SELECT coalesce(c.document_id, s.document_id) AS document_id, c.why, s.why AS of_ranks, c.n_tokens
FROM tables.chosen c FULL JOIN (SELECT * FROM samples WHERE why IS NOT NULL) s USING (document_id)
WHERE c.why IS DISTINCT FROM s.why OR c.score IS DISTINCT FROM s.score OR c.hmg IS DISTINCT FROM s.hmg
    OR c.cam IS DISTINCT FROM s.cam OR c.content_hash <> s.content_hash OR c.domain <> s.domain
    OR s.token_status <> 'encoded' OR c.n_tokens <> s.n_tokens OR c.context_tokens <> s.context_tokens
    OR c.response_tokens <> s.response_tokens OR c.n_tokens > getvariable('sequence_tokens');

-- law: in CHOSEN, rank counts from 1 in the order of rows for why = 'top', as in RANKS, and is NULL for why = 'short'
SELECT c.row, c.document_id, c.why, c.rank, r.place FROM (
    SELECT *, lag(rank) OVER (ORDER BY row) AS previous FROM tables.chosen
) c JOIN (
    SELECT document_id, place, row_number() OVER (ORDER BY place) AS rank FROM tables.ranks WHERE why IS NOT NULL
) r USING (document_id)
WHERE why NOT IN ('top', 'short') OR (why = 'top') <> (c.rank IS NOT NULL)
    OR c.rank <> c.row + 1 OR (c.why = 'top' AND c.rank <> r.rank);

-- law: a set of samples draws each row of CHOSEN once and not cut, and no other
SELECT coalesce(w.document_id, c.document_id) AS document_id, w.epoch, w.document_start, w.document_stop, w.why
FROM tables.draws w FULL JOIN tables.chosen c USING (document_id)
WHERE getvariable('budget_tokens') IS NULL AND (
    w.document_id IS NULL OR c.document_id IS NULL OR w.epoch <> 0 OR w.document_start <> 0
    OR w.document_stop <> w.n_tokens OR w.why <> c.why
);

-- law: MESSAGES has a row for each row of CHOSEN, in the group of its draw
SELECT coalesce(m.document_id, c.document_id) AS document_id, m.shard, w.shard AS of_draws, m.why, m.rank
FROM tables.messages m FULL JOIN tables.chosen c USING (document_id) LEFT JOIN tables.draws w USING (document_id)
WHERE m.document_id IS NULL OR c.document_id IS NULL OR m.shard IS DISTINCT FROM w.shard OR m.domain <> c.domain
    OR m.why <> c.why OR m.rank IS DISTINCT FROM c.rank OR m.score IS DISTINCT FROM c.score OR len(m.messages) = 0;

-- law: documents are in CHOSEN and in MESSAGES once
SELECT 'CHOSEN' AS name, document_id, count(*) AS n FROM tables.chosen GROUP BY ALL HAVING n > 1
UNION ALL SELECT 'MESSAGES', document_id, count(*) AS n FROM tables.messages GROUP BY ALL HAVING n > 1;

-- law: QUOTAS counts the rows of CHOSEN, at most target of a cell
SELECT why, q.chosen, c.chosen AS rows_of_chosen
FROM (SELECT why, sum(chosen) AS chosen, bool_or(chosen > target) AS over FROM tables.quotas GROUP BY why) q
FULL JOIN (SELECT why, count(*) AS chosen FROM tables.chosen GROUP BY why) c USING (why)
WHERE q.over OR coalesce(q.chosen, 0) <> coalesce(c.chosen, 0);

-- law: labels are input_ids at the tokens of responses, by their number and the sum of their places, and -100 elsewhere
SELECT q.sequence_id, q.n_tokens, q.n_labels, q.n_other, q.n_loss, q.places, r.n_loss AS of_responses
FROM (
    SELECT sequence_id, n_tokens, len(labels) AS n_labels,
        len(list_filter(list_zip(labels, input_ids), lambda z: z[1] <> -100 AND z[1] <> z[2])) AS n_other,
        len(list_filter(labels, lambda x: x <> -100)) AS n_loss,
        list_sum(list_transform(labels, lambda x, i: CASE WHEN x <> -100 THEN i ELSE 0 END)) AS places
    FROM tables.sft_sequences
) q
LEFT JOIN (
    SELECT sequence_id, sum(b - a) AS n_loss, sum((a + 1 + b) * (b - a) // 2) AS places
    FROM (
        SELECT sequence_id, greatest(span.start, document_start)::BIGINT + sequence_start - document_start AS a,
            least(span.stop, document_stop)::BIGINT + sequence_start - document_start AS b
        FROM (
            SELECT g.sequence_id, g.sequence_start, g.document_start, g.document_stop, unnest(s.responses) AS span
            FROM segments g JOIN tables.samples s USING (document_id)
        )
    )
    WHERE a < b GROUP BY sequence_id
) r USING (sequence_id)
WHERE n_labels <> n_tokens OR n_other > 0 OR q.n_loss <> coalesce(r.n_loss, 0) OR q.places <> coalesce(r.places, 0);
