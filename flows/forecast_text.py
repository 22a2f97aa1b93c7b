"""The wording of `longmix plan` on a mix, and what is known of a recipe's tokenizer before a build."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from flows.tables import aligned, printable
from flows.text import UNITS, filled, length_table, supply
from pipelines.encode import notes
from pipelines.findings import counted
from pipelines.forecast import Embedded, EmbeddingForecast, Forecast, ScoringForecast
from pipelines.recipe import AnyRecipe, Recipe
from pipelines.score import ScoreParams
from pipelines.score.budget import FIRST
from schemas.lengths import BUCKETS
from scorers.chunk_gain.pairs import price

Rows = Sequence[Mapping[str, Any]]

SMALL = 0.005  # a share that would be shown as 0%
LONG_BUCKETS = 5  # the first bucket whose absence is mentioned: 16-32K


def forecast_text(forecast: Forecast, recipe: Recipe) -> str:
    """What a build of the recipe will do."""
    params, targets = recipe.plan, forecast.targets.to_pylist()
    lines = [f"{recipe.mix}: {params.budget_tokens:,} tokens in sequences of {recipe.pack.sequence_tokens:,}", ""]
    source = "a sample: the corpus was not read yet, or has changed since"
    lines += basis(forecast.sampled, source, forecast.read_bytes)
    lines += notes_on_input(forecast.notes)
    domains, before = forecast.before.domains, forecast.before.tokens.sum(axis=1)
    lines += ["", "Tokens that may be drawn", *length_table(domains, before)]
    lines += ["", "Tokens in the mix", *length_table(domains, forecast.after), f"  {UNITS}"]
    lines += ["", "Rates: how many times a document is drawn, before max_epochs limits it", *rates(forecast)]
    if forecast.scoring and recipe.score:
        lines += ["", *filled(scoring(forecast.scoring, recipe.score))]
    if forecast.embedding:
        lines += ["", *filled(embedding(forecast.embedding))]
    is_estimate = bool(forecast.sampled)
    lines += ["", *supply(targets, is_estimate=is_estimate)]
    lines += absent_lengths(domains, before, targets, is_estimate=is_estimate)
    if forecast.missing:
        lines += filled(
            f"plan.select: {forecast.missing[-1]} does not exist yet, so this forecast selects every document."
        )
    if recipe_notes := encoding_notes(recipe) if forecast.sampled else []:
        lines += ["", *recipe_notes]
    return "\n".join(lines)


def notes_on_input(sentences: Sequence[str]) -> list[str]:
    """Notes on the input, after an empty line; none where there is none."""
    lines = [line for sentence in sentences for line in filled(printable(sentence))]
    return ["", *lines] if lines else []


def basis(sampled: Mapping[str, float], source: str, read_bytes: int = 0) -> list[str]:
    """What the figures of a forecast are from.

    Args:
        read_bytes: of the raw records of the sample.
        sampled: source -> the share of it that was read; empty where the figures are exact.
        source: what estimated figures are from.
    """
    if not sampled:
        return ["Exact, from the tables of the last build."]
    read = ", ".join(f"{name} {percent(share)}" for name, share in sampled.items())
    return [
        *filled(f"Estimated from {source}."),
        *filled(f"Read: {bytes_text(read_bytes)} of records; of each source: {read}.", indent=2),
        *filled("Duplicates are not looked for and count as if they were kept.", indent=2),
    ]


def bytes_text(n: int) -> str:
    return f"{n / 1e6:,.1f} MB" if n >= 100_000 else f"{n / 1e3:,.1f} kB"


def percent(share: float) -> str:
    """Whole percent; what is neither nothing nor everything is shown as neither."""
    return f"{share:.0%}" if share in (0, 1) else "<1%" if share < SMALL else f"{min(share, 0.99):.0%}"


def encoding_notes(recipe: AnyRecipe) -> list[str]:
    """What the recipe's tokenizer loses or does slowly, known before any text is read."""
    return [line for note in notes(recipe.encode) for line in filled(note)]


def scoring(forecast: ScoringForecast, params: ScoreParams) -> str:
    """What the model will score, and how far its budget reaches."""
    about = "" if forecast.is_exact else "about "
    before = "" if forecast.is_screened else ", before the cheap tier refuses some of them"
    first = forecast.n_documents * price(FIRST, 2 * FIRST, params.chunk_tokens)
    enough = (
        "the rest goes to the documents whose selection it can change most"
        if first <= params.budget_tokens
        else "where that is not enough, the longest documents come first"
    )
    return (
        f"Scoring: {about}{forecast.n_documents:,} documents of at least {forecast.min_tokens:,} tokens "
        f"({forecast.n_tokens:,} tokens){before}. A near and a far pair of each take at most {first:,} model tokens; "
        f"the budget is {params.budget_tokens:,}; {enough}."
    )


def embedding(forecast: EmbeddingForecast | Embedded) -> str:
    """Which encoder embeds how many documents, and for how long."""
    documents = counted(forecast.n_documents, "drawn document")
    if isinstance(forecast, Embedded):
        chunks = " and their chunks" if forecast.has_chunks else ""
        return f"Embedding: nothing is left to embed; {forecast.encoder} read {documents}{chunks}."
    kind = "a static table" if forecast.is_static else "a transformer"
    encoder = f"{forecast.encoder} ({kind}, {forecast.dimensions:,} dimensions)"
    about = "" if forecast.is_exact else "about "
    of, texts = ("document", "of the corpus") if forecast.is_real_text else ("text", "as long as its window")
    chunks = (
        f"up to {counted(forecast.n_chunks, 'chunk')} of {counted(forecast.chunk_tokens, 'token')} for "
        f"negative_extension, {cpu_seconds(forecast.chunk_seconds)}."
    )
    if forecast.is_embedded:
        return f"Embedding: {encoder} read {documents} before, and reads {chunks}"
    besides = f" Besides, {chunks}" if forecast.n_chunks else ""
    return (
        f"Embedding: {encoder} reads the beginning of {about}{documents}, {cpu_seconds(forecast.cpu_seconds)} by a run on "
        f"this machine over {counted(forecast.n_timed, of)} {texts}.{besides} What was embedded before is not embedded again."
    )


def cpu_seconds(seconds: float) -> str:
    return f"about {seconds:,.0f} CPU seconds" if seconds >= 1.5 else "about 1 CPU second or less"


def rates(forecast: Forecast) -> list[str]:
    targets = forecast.targets.to_pylist()
    budget = max(1, sum(row["target_tokens"] for row in targets))
    rows = []
    for d, domain in enumerate(forecast.before.domains):
        cells = {row["kind"]: row for row in targets if row["domain"] == domain}
        tokens = int(forecast.before.tokens[d].sum())
        largest = f"{forecast.before.largest[d] / tokens:.1%}" if tokens else "-"
        share = sum(row["target_tokens"] for row in cells.values()) / budget
        epochs = ["-" if cells[kind]["rate"] is None else f"{cells[kind]['rate']:.3f}" for kind in ("long", "short")]
        rows.append([domain, f"{share:.2%}", *epochs, largest])
    return aligned(["domain", "share", "long", "short", "largest document"], rows)


def absent_lengths(
    domains: Sequence[str], tokens: np.ndarray, targets: Rows, *, is_estimate: bool = False
) -> list[str]:
    """[d, 9] tokens: the long buckets that a domain with a target has no document of."""
    used = {row["domain"] for row in targets if row["target_tokens"]}
    lines = []
    for domain, row in zip(domains, tokens, strict=True):
        absent = [bucket for bucket, n in zip(BUCKETS[LONG_BUCKETS:], row[LONG_BUCKETS:], strict=True) if not n]
        if absent and domain in used:
            lines += filled(f"{domain}: {', '.join(absent)}", indent=2)
    which = "document of the sample" if is_estimate else "document"
    return [f"Lengths of 16K and more that no {which} has, by domain:", *lines] if lines else []
