"""What the corpus cannot supply to a plan, and what the plan leaves out, in sentences.

The forecast, the summary of a build, the artifacts of a flow, the report and the card all use these, so their wording is
the same.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any


def sentences(targets: Sequence[Mapping[str, Any]]) -> list[str]:
    """One line on the budget, and one on each setting that leaves documents out.

    targets: rows of TARGETS or of the view `targets`; none for a version that was made before there was such a table.
    """
    target, drawn, over, not_selected = (
        total(targets, name) for name in ("target_tokens", "drawn_tokens", "over_share_tokens", "not_selected_tokens")
    )
    lines = []
    if target > drawn:
        lines.append(f"Shortfall: {target - drawn:,} of {target:,} tokens cannot be supplied and are not substituted.")
    elif targets:
        lines.append(f"The budget can be met: the corpus supplies all {target:,} tokens.")
    if over:
        lines.append(f"Left out by plan.max_document_share: {over:,} tokens.")
    if not_selected:
        lines.append(f"Left out by plan.select: {not_selected:,} tokens.")
    return lines


def short_cells(targets: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The cells that fall short: domain, kind, target, available tokens and shortfall."""
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
