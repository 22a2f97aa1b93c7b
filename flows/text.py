"""All wording for people: what a recipe will do, what the corpus could not supply, what changed."""

from pathlib import Path

import numpy as np

from pipelines.check import Checked
from pipelines.forecast import Asked, Forecast, shortest
from pipelines.plan import PlanParams
from pipelines.recipe import Recipe
from pipelines.score import ScoreParams
from pipelines.score.budget import FIRST
from schemas.lengths import BUCKETS
from scorers.chunk_gain.pairs import price


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
    lines += ["", "Rates: how often a document is drawn (1 = once)", *rates(found, params)]
    if found.asked and recipe.score:
        lines += ["", scoring(found.asked, recipe.score)]
    return "\n".join([*lines, "", *shortfalls(found, params), *notes(found, params)])


def scoring(asked: Asked, params: ScoreParams) -> str:
    """What the model will be asked to do."""
    about = "" if asked.is_exact else "about "
    before = "" if asked.is_screened else ", before the cheap tier refuses some"
    first = asked.n_documents * price(FIRST, 2 * FIRST, params.chunk_tokens)
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


def rates(found: Forecast, params: PlanParams) -> list[str]:
    lines = [f"  {'':14}{'share':>10}{'long':>10}{'short':>10}{'largest document':>20}"]
    for d, domain in enumerate(found.before.domains):
        rate, held = found.targets.rates[d], int(found.before.tokens[d].sum())
        largest = f"{found.before.largest[d] / held:.1%}" if held else "-"
        lines.append(
            f"  {domain:14}{found.targets.shares[d]:>10.2%}{rate:>10.3f}{rate * params.short_rate:>10.3f}{largest:>20}"
        )
    return lines


def shortfalls(found: Forecast, params: PlanParams) -> list[str]:
    if not found.targets.shortfalls:
        return [f"The budget can be met; no document is drawn more than {params.max_epochs} times."]
    missing = sum(s.missing for s in found.targets.shortfalls)
    lines = [f"Can't be met: {missing:,} of {params.budget_tokens:,} tokens are missing, and nothing fills in."]
    epochs = f"in {params.max_epochs} epochs"
    lines += [
        f"  {s.domain}, {s.length}: wants {s.wanted:,}, has {s.available:,} {epochs}, {s.missing:,} missing"
        for s in found.targets.shortfalls
    ]
    return lines


def notes(found: Forecast, params: PlanParams) -> list[str]:
    """What a reader should know: lengths that a domain has nothing of, and what was left out."""
    lines = []
    tokens = found.before.tokens.sum(axis=1)
    for d, domain in enumerate(found.before.domains):
        empty = [bucket for bucket, n in zip(BUCKETS[5:], tokens[d, 5:], strict=True) if n == 0]
        if empty and found.targets.shares[d]:
            lines.append(f"  {domain}: no document of {', '.join(empty)} tokens; its share comes from shorter ones")
    if lines:
        lines = ["Lengths that are not there:", *lines]
    if found.left_out:
        lines.append(f"Left out by max_document_share = {params.max_document_share:g}: {found.left_out:,} tokens")
    if params.select and found.not_chosen is None:
        lines.append(
            f"The scores that plan.select goes by ({params.select.by}) are not made yet: nothing is left out here."
        )
    elif params.select:
        lines.append(f"Left out by plan.select, by {params.select.by}: {found.not_chosen:,} tokens")
    return lines


def check_report(results: list[Checked], root: Path) -> str:
    """What `longmix check` found: one line a fault, and a line with the totals."""
    faults = [result.fault for result in results if result.fault]
    lines = [f"{fault.path}: {fault.finding}; repair: {fault.remedy}" for fault in faults]
    n_bytes = sum(result.n_bytes for result in results)
    verdict = f"{len(faults):,} damaged or missing" if faults else "all undamaged"
    return "\n".join([*lines, f"{root}: {len(results):,} files, {n_bytes / 1e6:,.1f} MB read, {verdict}"])
