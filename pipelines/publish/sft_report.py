"""report.html of a published set of instruction samples. See report.py, whose pieces it uses."""

from html import escape

import duckdb

from pipelines import chosen, findings
from pipelines.catalog import rows_of
from pipelines.publish.card import Edition
from pipelines.publish.figures import answer, lengths
from pipelines.publish.report import bars, cards_of, collected, encoding, keys, notes, packing, page, section, table
from pipelines.sft_recipe import SftRecipe

LENGTHS = (
    "Upper bar: the samples that dedup kept. Lower bar: the set. A full bar is all tokens of the domain; lengths are in K = "
    "1,024 tokens."
)
BY = (
    "scored: samples that the model read. chosen: those in the set, by their rank or, in the sources of "
    "choose.short_sources, as short instructions."
)
AGAINST = (
    "Medians over the samples with a score, chosen by it or left. nll gain: by how many nats per token the response is harder "
    "to predict in the short window than in the long one (HMG). nll no context: mean nll of the response after the "
    "instruction alone. ifd: exp(nll long - nll of the response alone). alignment: cosine of importance and attention over "
    "the segments of the context (CAM). Length and other traits differ between domains: compare the domains below, too."
)
BY_DOMAIN_NOTE = "nll gain of each domain: 10 % and 90 % are percentiles over samples. alignment is a median."
TOP = (
    "The ten chosen samples with the highest score. score = alpha * hmg + (1 - alpha) * cam; hmg and cam are normalised over "
    "the samples as choose.normalise says."
)
QUOTA = (
    "Samples of each cell of choose.quotas: candidates, those that the recipe asks for and those chosen. similar: candidates "
    "that were passed over, since a higher chosen one is similar (choose.max_similarity). What a cell cannot supply is not "
    "taken from another."
)
UNMEASURED = (
    "Kept samples that lack HMG or CAM, by the reason of SCORES_HMG or SCORES_CAM. A sample without a context, or with one "
    "segment of it, has no CAM; short instructions are not read by the model."
)
LEFT = (
    "Samples that are not in the set. outranked: a lower score than the chosen ones. similar: to a higher chosen one. too_long: "
    "more tokens than a sequence. short_surplus: short instructions beyond choose.short_share. Others: without a score, for "
    "the reason that SCORES_HMG or SCORES_CAM states."
)


def sft_report(con: duckdb.DuckDBPyConnection, recipe: SftRecipe, edition: Edition) -> str:
    """The report's HTML, from the views alone."""
    (totals,), (samples,), (trained,) = (
        rows_of(con, query) for query in ("FROM totals", chosen.TOTALS, chosen.TRAINED)
    )

    def of(query: str) -> str:
        return table(answer(con, query))

    figures = {
        **{name: f"{totals[name]:,}" for name in ("tokens", "sequences")},
        "filled": f"{totals['fill_share'] or 0:.2%}",
        "tokens with a loss": f"{trained['trained_tokens']:,}",
        "samples read": f"{totals['documents']:,}",
        "samples scored": f"{samples['scored']:,}",
        "chosen by rank": f"{samples['top']:,}",
        "short instructions": f"{samples['short']:,}",
        "records rejected": f"{totals['rejected']:,}",
    }
    sentences = findings.choice(rows_of(con, chosen.QUOTAS), rows_of(con, chosen.NOT_CHOSEN))
    opening = [f"<p>{escape(line)}</p>" for line in (chosen.method(recipe), *sentences)]
    unmeasured = answer(con, chosen.UNMEASURED)
    in_set = table(lengths(con, "drawn_tokens"), has_sum=True)
    against = [
        section("Chosen samples against those left", AGAINST, of(chosen.COMPARED)),
        section("Chosen against left, by domain", BY_DOMAIN_NOTE, of(chosen.COMPARED_BY_DOMAIN)),
    ]
    sections = [
        section("Samples by domain", BY, of(chosen.BY_DOMAIN)),
        *(against if samples["scored"] else []),
        section("Chosen samples by length", "Length of the sample in tokens.", of(chosen.BY_LENGTH)),
        section("Domains and lengths", LENGTHS, keys(), bars(con)),
        section("Tokens in the set, by domain and length of the sample", "", in_set),
        section("Quotas", QUOTA, of(chosen.QUOTAS)),
        section("Samples that are not chosen", LEFT, of(chosen.NOT_CHOSEN)),
        *([section("Samples without a part of the score", UNMEASURED, table(unmeasured))] if unmeasured.rows else []),
        section("Highest scores", TOP, of(chosen.HIGHEST)),
        packing(con),
        *collected(con),
    ]
    parts = [cards_of(figures), notes(edition), *opening, encoding(con), *sections]
    return page(recipe.mix, edition.version, totals["sequence_tokens"], parts)
