"""All wording for people: what a recipe will do, what the corpus could not supply, what changed."""

import numpy as np

from pipelines.forecast import Forecast, ScoringForecast, shortest
from pipelines.plan import PlanParams
from pipelines.recipe import Recipe
from pipelines.score import ScoreParams
from pipelines.score.budget import FIRST
from schemas.lengths import BUCKETS


def told(found: Forecast, recipe: Recipe) -> str:
    """The forecast in words and tables."""
    params = recipe.plan
    lines = [f"{recipe.mix}: {params.budget_tokens:,} tokens in sequences of {recipe.pack.sequence_tokens:,}", ""]
    if found.sampled:
        lines.append("Estimated: the corpus was not read yet, or changed since. Of each source was read:")
        lines.append("  " + ", ".join(f"{name} {part:.0%}" for name, part in found.sampled.items()))
        lines.append("  Duplicates are not known, and count here as if they stayed.")
    else:
        lines.append("Exact, from the tables that exist.")
    before = found.before.tokens.sum(axis=1)
    lines += ["", "Tokens there are, by domain and length of the document", *grid(found.before.domains, before)]
    lines += ["", "Tokens in the mix", *grid(found.before.domains, found.after)]
    lines += ["", "Rates: how often a document is drawn (1 = once)", *rates(found)]
    if found.scoring and recipe.score:
        lines += ["", scoring(found.scoring, recipe.score)]
    return "\n".join([*lines, "", *shortfalls(found, params), *notes(found, params)])


def scoring(asked: ScoringForecast, params: ScoreParams) -> str:
    """What the model will be asked to do."""
    about = "" if asked.is_exact else "about "
    before = "" if asked.is_screened else ", before the cheap tier refuses some"
    first = asked.n_documents * (FIRST * (params.chunk_tokens - 1) + 2 * FIRST * (params.chunk_tokens + 1))
    enough = (
        "the rest goes where it tells most"
        if first <= params.budget_tokens
        else "which may not be enough: then the longest come first"
    )
    return (
        f"Scoring: {about}{asked.n_documents:,} documents of {shortest(params):,} tokens and more ({asked.n_tokens:,} tokens)"
        f"{before}. A near and a far pair each take at most {first:,} model tokens; the budget is {params.budget_tokens:,}, "
        f"{enough}."
    )


def grid(domains: tuple[str, ...], tokens: np.ndarray) -> list[str]:
    head = f"  {'':14}" + "".join(f"{bucket:>12}" for bucket in (*BUCKETS, "all"))
    rows = [*zip(domains, tokens, strict=True), ("all", tokens.sum(axis=0))]
    return [head, *(f"  {name:14}" + "".join(f"{n:>12,}" for n in (*row, row.sum())) for name, row in rows)]


def rates(found: Forecast) -> list[str]:
    lines = [f"  {'':14}{'share':>10}{'long':>10}{'short':>10}{'largest document':>20}"]
    rows = found.targets.to_pylist()
    budget = sum(row["target_tokens"] for row in rows)
    for d, (short, long) in enumerate(zip(rows[::2], rows[1::2], strict=True)):
        tokens = int(found.before.tokens[d].sum())
        largest = f"{found.before.largest[d] / tokens:.1%}" if tokens else "-"
        share = (short["target_tokens"] + long["target_tokens"]) / budget
        figures = "".join(f"{'-' if row['rate'] is None else format(row['rate'], '.3f'):>10}" for row in (long, short))
        lines.append(f"  {short['domain']:14}{share:>10.2%}{figures}{largest:>20}")
    return lines


def shortfalls(found: Forecast, params: PlanParams) -> list[str]:
    rows = found.targets.to_pylist()
    missing = sum(row["target_tokens"] - row["drawn_tokens"] for row in rows)
    if not missing:
        return [f"The budget can be met; no document is drawn more than {params.max_epochs} times."]
    return [
        f"Shortfall: {missing:,} of {params.budget_tokens:,} tokens cannot be supplied and are not substituted.",
        *(
            f"  {row['domain']}, {row['kind']}: {row['target_tokens']:,} of {row['available_tokens']:,} available"
            for row in rows
            if row["target_tokens"] > row["drawn_tokens"]
        ),
    ]


def notes(found: Forecast, params: PlanParams) -> list[str]:
    """Lengths of which a domain has no document, and what was left out."""
    lines = []
    tokens, rows = found.before.tokens.sum(axis=1), found.targets.to_pylist()
    asked = {row["domain"] for row in rows if row["target_tokens"]}
    for d, domain in enumerate(found.before.domains):
        empty = [bucket for bucket, n in zip(BUCKETS[5:], tokens[d, 5:], strict=True) if n == 0]
        if empty and domain in asked:
            lines.append(f"  {domain}: no document of {', '.join(empty)} tokens; its share comes from shorter ones")
    if lines:
        lines = ["Lengths that are not there:", *lines]
    over, not_selected = (sum(row[name] for row in rows) for name in ("over_share_tokens", "not_selected_tokens"))
    if over:
        lines.append(f"Left out by max_document_share = {params.max_document_share:g}: {over:,} tokens")
    if params.select and not found.is_selected:
        lines.append(
            f"The scores that plan.select goes by ({params.select.by}) are not made yet: nothing is left out here."
        )
    elif params.select:
        lines.append(f"Left out by plan.select, by {params.select.by}: {not_selected:,} tokens")
    return lines
