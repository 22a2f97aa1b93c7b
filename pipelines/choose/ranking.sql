-- Normalised parts, score and rank of samples.
-- Requires the table `raw` (place, scope, nll_short, nll_long, alignment), in which place is unique, and the variables alpha,
-- normalise and direction. Sums are in the order of place, so that the result does not depend on how rows are stored.

WITH raised AS (
    SELECT place, scope, nll_short, nll_long, nll_short - nll_long + 0.0 AS gain,
        CASE getvariable('direction') WHEN 'alignment' THEN alignment ELSE 1 - alignment END + 0.0 AS towards
    FROM raw
), of_hmg AS (
    SELECT * FROM raised WHERE gain IS NOT NULL
), of_cam AS (
    SELECT * FROM raised WHERE towards IS NOT NULL
),

-- robust: percent rank, ties share their mean rank; 0.5 for one sample
robust_hmg AS (
    SELECT place, coalesce(
        (rank() OVER (PARTITION BY scope ORDER BY gain) - 1 + (count(*) OVER (PARTITION BY scope, gain) - 1) / 2)
        / nullif(count(*) OVER (PARTITION BY scope) - 1, 0), 0.5) AS hmg
    FROM of_hmg
), robust_cam AS (
    SELECT place, coalesce(
        (rank() OVER (PARTITION BY scope ORDER BY towards) - 1 + (count(*) OVER (PARTITION BY scope, towards) - 1) / 2)
        / nullif(count(*) OVER (PARTITION BY scope) - 1, 0), 0.5) AS cam
    FROM of_cam
),

-- official: min-max of perplexities by model, softmax of the difference. Perplexities are divided by the largest of the
-- scope, which changes no min-max and does not overflow.
limits AS (
    SELECT scope, max(nll_short) AS most_short, min(nll_short) AS least_short, max(nll_long) AS most_long,
        min(nll_long) AS least_long
    FROM of_hmg GROUP BY scope
), differences AS (
    SELECT place, scope, exp(
        coalesce((exp(nll_short - most_short) - exp(least_short - most_short))
            / nullif(1 - exp(least_short - most_short), 0), 0.5)
        - coalesce((exp(nll_long - most_long) - exp(least_long - most_long))
            / nullif(1 - exp(least_long - most_long), 0), 0.5)) AS weight
    FROM of_hmg JOIN limits USING (scope)
), official_hmg AS (
    SELECT place, weight / total AS hmg
    FROM differences JOIN (SELECT scope, sum(weight ORDER BY place) AS total FROM differences GROUP BY scope) USING (scope)
), official_cam AS (
    SELECT place, exp(towards) / total AS cam
    FROM of_cam JOIN (SELECT scope, sum(exp(towards) ORDER BY place) AS total FROM of_cam GROUP BY scope) USING (scope)
),

parts AS (
    SELECT place,
        CASE getvariable('normalise') WHEN 'robust' THEN r.hmg ELSE o.hmg END AS hmg,
        CASE getvariable('normalise') WHEN 'robust' THEN c.cam WHEN 'official' THEN q.cam ELSE t.towards END AS cam
    FROM raised t
    LEFT JOIN robust_hmg r USING (place) LEFT JOIN official_hmg o USING (place)
    LEFT JOIN robust_cam c USING (place) LEFT JOIN official_cam q USING (place)
), scored AS (
    SELECT place, hmg, cam,
        CASE getvariable('alpha') WHEN 1 THEN hmg WHEN 0 THEN cam
            ELSE getvariable('alpha') * hmg + (1 - getvariable('alpha')) * cam END AS score
    FROM parts
)
SELECT place, hmg, cam, score,
    CASE WHEN score IS NOT NULL THEN row_number() OVER (ORDER BY score DESC NULLS LAST, place) END AS rank
FROM scored ORDER BY place
