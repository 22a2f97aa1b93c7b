"""What the corpus could not supply to a plan, and what the plan left out, in sentences.

Used by the forecast, the summary of a build, the artifacts of a flow, the report and the card, so that all of them say
the same.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any


def sentences(targets: Sequence[Mapping[str, Any]]) -> list[str]:
    """One line on the budget, and one on each setting that leaves documents out.

    targets: rows of TARGETS or of the view `targets`; none for a version that was made before there was such a table.
    """
    asked, drawn, over, not_selected = (
        total(targets, name) for name in ("target_tokens", "drawn_tokens", "over_share_tokens", "not_selected_tokens")
    )
    lines = []
    if asked > drawn:
        lines.append(f"Shortfall: {asked - drawn:,} of {asked:,} tokens cannot be supplied and are not substituted.")
    elif targets:
        lines.append(f"The budget can be met: the corpus supplies all {asked:,} tokens.")
    if over:
        lines.append(f"plan.max_document_share leaves out {over:,} tokens, of documents that are over it.")
    if not_selected:
        lines.append(f"plan.select leaves out {not_selected:,} tokens, of documents that it does not select.")
    return lines


def short_cells(targets: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The rows of cells that fall short: domain, kind, tokens asked for, available and missing."""
    return [
        {
            **{name: row[name] for name in ("domain", "kind", "target_tokens", "available_tokens")},
            "shortfall_tokens": row["target_tokens"] - row["drawn_tokens"],
        }
        for row in targets
        if row["target_tokens"] > row["drawn_tokens"]
    ]


def total(rows: Iterable[Mapping[str, Any]], column: str) -> int:
    return sum(row[column] for row in rows)
