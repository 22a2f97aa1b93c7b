"""The wording of the command line on sets of instruction samples. See text.py, which is on mixes."""

from collections.abc import Mapping, Sequence
from typing import Any

from flows.forecast_text import basis, encoding_notes, notes_on_input
from flows.tables import aligned, compact
from flows.text import UNITS, filled, opener, reused
from pipelines import findings
from pipelines.chosen import method
from pipelines.forecast import SamplesForecast
from pipelines.sft_recipe import SftRecipe
from pipelines.versions import Version

Rows = Sequence[Mapping[str, Any]]


def samples_forecast_text(forecast: SamplesForecast, recipe: SftRecipe) -> str:
    """What a build of the recipe will do."""
    lines = [f"{recipe.mix}: instruction samples in sequences of {recipe.pack.sequence_tokens:,}", ""]
    source = "a sample of records: they were not read yet, or have changed since"
    lines += basis(forecast.sampled, source, forecast.read_bytes)
    lines += notes_on_input(forecast.notes)
    cells = [
        [
            row["domain"],
            f"{row['samples']:,}",
            f"{row['with_context']:,}",
            compact(row["tokens"]),
            compact(row["model_tokens"]),
        ]
        for row in forecast.domains
    ]
    lines += [
        "",
        "Samples that may be chosen",
        *aligned(["domain", "samples", "with context", "tokens", "model tokens"], cells),
    ]
    lines += [f"  {UNITS}", "", *filled(scoring(forecast, recipe)), *filled(method(recipe))]
    if notes := encoding_notes(recipe) if forecast.sampled else []:
        lines += ["", *notes]
    return "\n".join(lines)


def scoring(forecast: SamplesForecast, recipe: SftRecipe) -> str:
    """What the model will read, and for how long."""
    if recipe.influence is None:
        return "Scoring: the recipe has no model."
    kept = (
        f" {findings.counted(forecast.n_kept, 'sample')} measured earlier will not be read again."
        if forecast.n_kept
        else ""
    )
    if not forecast.model_tokens:
        return f"Scoring: nothing is left to measure.{kept}"
    about = "about " if forecast.sampled else ""
    budget = recipe.influence.budget_tokens
    limit = f" influence.budget_tokens is {budget:,}: the cheapest samples come first." if budget else ""
    return (
        f"Scoring: {about}{forecast.model_tokens:,} model tokens, about {forecast.cpu_seconds or 0:,.0f} CPU seconds by a "
        f"run on this machine.{limit}{kept}"
    )


def samples_headline(version: Version, totals: Mapping[str, Any], rejections: Rows, seconds: float) -> list[str]:
    """totals: of the view `totals` and of TOTALS of pipelines.chosen."""
    state = f"made in {seconds:,.0f} s" if version.is_new else f"nothing to make ({seconds:,.0f} s)"
    repaired = [f"  damaged files that were made again: {len(version.mended):,}"] if version.mended else []
    rows = f"{totals['sequences']:,} sequences of {totals['sequence_tokens']:,}"
    rejected = filled(f"rejected: {findings.rejected(rejections)}", indent=2) if rejections else []
    return [
        f"{version.mix} {version.version}: {state}",
        f"  {version.folder}",
        *repaired,
        *reused(version.reused),
        *filled(f"{totals['tokens']:,} tokens in {rows}, {totals['fill_share'] or 0:.2%} filled", indent=2),
        *filled(
            f"{totals['documents']:,} samples read, {totals['kept']:,} kept, {totals['scored']:,} scored", indent=2
        ),
        *filled(
            f"{totals['top']:,} chosen by rank, {findings.counted(totals['short'], 'short instruction')}", indent=2
        ),
        *rejected,
    ]


def chosen(rows: Rows) -> list[str]:
    """Rows of BY_DOMAIN of pipelines.chosen."""
    names = ("samples", "scored", "chosen")
    cells = [[r["domain"], *(f"{r[name]:,}" for name in names), compact(r["chosen_tokens"])] for r in rows]
    return ["Samples, by domain", *aligned(["domain", *names, "tokens chosen"], cells)]


def not_chosen(rows: Rows) -> list[str]:
    """Rows of NOT_CHOSEN of pipelines.chosen, summed over domains."""
    reasons: dict[str, list[int]] = {}
    for row in rows:
        sums = reasons.setdefault(row["reason"], [0, 0])
        sums[0] += row["samples"]
        sums[1] += row["tokens"]
    cells = [
        [reason, f"{n:,}", compact(tokens)] for reason, (n, tokens) in sorted(reasons.items(), key=lambda r: -r[1][0])
    ]
    return ["Samples that are not chosen, by reason", *aligned(["reason", "samples", "tokens"], cells)] if cells else []


def next_steps(command: str, root: str, mix: str, report: str) -> list[str]:
    return [
        "Next, for example:",
        f"  {command} show {root} 0{mix}",
        f'  {command} query {root} "FROM samples ORDER BY place"{mix}',
        f'  {command} query {root} "FROM choices"{mix}',
        f"  {opener()} {report}",
    ]
