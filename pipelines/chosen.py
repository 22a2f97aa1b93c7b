"""Figures of a set of instruction samples, as queries of the views, for its card, its report and its summary."""

from pipelines.sft_recipe import SftRecipe

BY_DOMAIN = """
SELECT domain, count(*) AS samples, count(nll_gain) AS scored, count(why) AS chosen,
    coalesce(sum(n_tokens) FILTER (why IS NOT NULL), 0)::BIGINT AS chosen_tokens
FROM samples GROUP BY domain ORDER BY domain
"""
BY_LENGTH = """
SELECT domain, length_bucket::VARCHAR AS length_bucket, count(*) AS samples, count(why) AS chosen,
    count(why) / count(*) AS chosen_share
FROM samples WHERE n_tokens IS NOT NULL GROUP BY samples.length_bucket, domain ORDER BY domain, samples.length_bucket
"""
# Chosen by score against the samples that had a score and were left.
COMPARED = """
SELECT CASE WHEN why = 'top' THEN 'chosen' ELSE 'left' END AS "set", count(*) AS samples,
    round(median(context_tokens))::BIGINT AS context_tokens, round(median(response_tokens))::BIGINT AS response_tokens,
    median(nll_gain) AS nll_gain, median(nll_long) AS nll_long, median(nll_no_context) AS nll_no_context,
    median(ifd) AS ifd, median(alignment) AS alignment
FROM samples WHERE nll_gain IS NOT NULL GROUP BY ALL ORDER BY "set"
"""
COMPARED_BY_DOMAIN = """
SELECT domain, CASE WHEN why = 'top' THEN 'chosen' ELSE 'left' END AS "set", count(*) AS samples,
    quantile_cont(nll_gain, 0.1) AS low, median(nll_gain) AS median, quantile_cont(nll_gain, 0.9) AS high,
    median(alignment) AS alignment
FROM samples WHERE nll_gain IS NOT NULL GROUP BY ALL ORDER BY domain, "set"
"""
HIGHEST = """
SELECT place, domain, source, n_tokens, score, hmg, cam, nll_gain, alignment, document_id
FROM samples WHERE why = 'top' ORDER BY place LIMIT 10
"""
TOTALS = """
SELECT count(*) AS samples, count(nll_gain) AS scored, count(why) AS chosen,
    count(*) FILTER (why = 'top') AS top, count(*) FILTER (why = 'short') AS short,
    coalesce(sum(n_tokens) FILTER (why IS NOT NULL), 0)::BIGINT AS chosen_tokens
FROM samples
"""
# Tokens with a loss: responses and the tokens that end their turns.
TRAINED = """
SELECT coalesce(sum(list_sum(list_transform(s.responses, lambda r: r.stop - r.start))), 0)::BIGINT AS trained_tokens
FROM tables.samples s JOIN samples c ON c.document_id = s.document_id WHERE c.why IS NOT NULL AND s.status = 'encoded'
"""
QUOTAS = "FROM quotas"
NOT_CHOSEN = (
    "SELECT domain, reason, samples, tokens FROM choices WHERE why IS NULL ORDER BY samples DESC, domain, reason"
)
UNMEASURED = "SELECT * FROM influence_status WHERE status <> 'scored'"


def method(recipe: SftRecipe) -> str:
    """How the samples were chosen, in one sentence."""
    choose = recipe.choose
    parts = f"alpha = {choose.alpha:g}, {choose.normalise} normalisation, CAM by {choose.direction}"
    mixing = {"influence": f" ({parts})", "cam": f" ({choose.normalise} normalisation, by {choose.direction})"}
    unit = "share" if isinstance(choose.top, float) else "number"
    return f"Chosen by {choose.by}{mixing.get(choose.by, '')}: top = {choose.top:g}, a {unit} of the samples that may be chosen."
