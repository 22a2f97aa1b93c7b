"""What the corpus cannot supply to a plan, and what the plan leaves out, in sentences.

The forecast, the summary of a build, the artifacts of a flow, the report and the card all use these, so their wording is
the same.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pipelines.findings import counted, total

SETTINGS = {  # of a recipe -> the prefix of the columns of TARGETS with what it leaves out
    "plan.max_document_share": "over_share",
    "plan.select.drop": "dropped",
    "plan.select.top_share": "not_selected",
}
SHOWN_DOMAINS = 20  # in one sentence
INTACT_REFUSED = {"repeats": 0.01, "list": 0.03, "stitched": 0.09}  # of 137, by default thresholds: benchmarks/cheap.py


def sentences(targets: Sequence[Mapping[str, Any]], *, is_estimate: bool = False) -> list[str]:
    """One line on the budget, and one on each setting that leaves documents out.

    Args:
        targets: rows of TARGETS or of the view `targets`; none for a version that was made before there was such a table.
        is_estimate: from a sample, which determines nothing.
    """
    target, drawn = (total(targets, name) for name in ("target_tokens", "drawn_tokens"))
    about = "about " if is_estimate else ""
    lines = []
    if target > drawn:
        missing = f"{about}{target - drawn:,} of {target:,} tokens cannot be supplied and are not substituted"
        lines.append(f"Shortfall: {missing}.")
    elif target:
        lines.append(f"The budget can be met: the corpus supplies all {target:,} tokens.")
    elif targets:
        lines.append("Nothing can be drawn: no domain with a share has a document.")
    if lines and is_estimate:
        lines[0] = f"By this sample, {lines[0][0].lower()}{lines[0][1:]}"
    for setting, name in SETTINGS.items():
        if documents := total(targets, f"{name}_documents"):
            counts = f"{counted(documents, 'document')}, {counted(total(targets, f'{name}_tokens'), 'token')}"
            lines.append(f"Left out by {setting}: {counts}.")
    return lines


def selection(left_out: Sequence[Mapping[str, Any]]) -> list[str]:
    """What a selection costs: by reason, by domain, and in intact documents. left_out: rows of the view of that name."""
    by_reason, documents, by_domain = Counter[str](), Counter[str](), Counter[str]()
    for row in left_out:
        by_reason[row["reason"]] += row["tokens"]
        documents[row["reason"]] += row["documents"]
        by_domain[row["domain"]] += row["domain_share"]
    if not left_out:
        return []
    each = [
        f"{reason} {counted(documents[reason], 'document')} ({n:,} tokens)" for reason, n in by_reason.most_common()
    ]
    parts = [f"{domain} {share:.1%}" for domain, share in by_domain.most_common(SHOWN_DOMAINS)]
    if len(by_domain) > SHOWN_DOMAINS:
        parts.append(f"and {len(by_domain) - SHOWN_DOMAINS:,} other domains")
    lines = [
        f"Left out by reason: {', '.join(each)}.",
        f"Share of a domain's tokens that is left out: {', '.join(parts)}.",
    ]
    if wrong := [f"{share:.0%} as {reason}" for reason, share in INTACT_REFUSED.items() if by_reason[reason]]:
        lines.append(f"Of intact documents the cheap tier refuses about {', '.join(wrong)}.")
    if by_reason["outranked"]:
        lines.append("Outranked documents pass the cheap tier, and others of their domain score higher.")
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
