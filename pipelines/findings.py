"""Which records were rejected, what the tokenizer refused or lost, and the path of an order, in sentences.

The summary of a build, the log of a flow, the report and the card all use these, so their wording is the same.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pipelines.recipe import Recipe  # which imports stages, and some of them this module

Rows = Sequence[Mapping[str, Any]]


def rejected(rejections: Rows) -> str:
    """Such as "3 records (2 not_json, 1 no_token)". rejections: rows of the view of this name, at least one."""
    by_reason: dict[str, int] = {}
    for row in rejections:
        by_reason[row["reason"]] = by_reason.get(row["reason"], 0) + row["records"]
    each = [f"{n:,} {reason}" for reason, n in sorted(by_reason.items(), key=lambda item: (-item[1], item[0]))]
    return f"{counted(sum(by_reason.values()), 'record')} ({', '.join(each)})"


def encoding(rows: Rows) -> list[str]:
    """A sentence on each thing that did not go well; none where all did. rows: of the view `encoding`."""
    lines = []
    if lost := [row["source"] for row in rows if not row["documents"] and not row["refused"]]:
        lines.append(
            f"Dedup kept no document of {counted(len(lost), 'source')} ({', '.join(lost)}): "
            "each is a copy of a document of another source."
        )
    if refused := total(rows, "refused"):
        lines.append(
            f"Refused by the tokenizer: {counted(refused, 'document')} ({sources(rows, 'refused')}). "
            "The view rejected says why."
        )
    if lossy := total(rows, "lossy"):
        lines.append(
            f"Lossy tokenizer: {lossy:,} of {counted(total(rows, 'sampled'), 'sampled document')} cannot be decoded to "
            f"the same text ({sources(rows, 'lossy')}). Use a tokenizer with byte_fallback or with all 256 bytes."
        )
    if shards := total(rows, "fell_back_shards"):
        lines.append(
            f"Encoded by tokenizers, since fastokens gave other ids: {counted(shards, 'shard')} "
            f"({sources(rows, 'fell_back_shards')}). The ids are right; encoding was slower."
        )
    return lines


def path(groups: Rows, packing: Rows) -> list[str]:
    """Sentences on the path through related documents; none in a mix without an order.

    Args:
        groups: of the view `path_quality`.
        packing: the row of the view `packing`.
    """
    if not groups:
        return []
    n = total(groups, "on_path")
    lines = [f"Path: {counted(n, 'document')}, {counted(total(groups, 'restarts'), 'restart')}."]
    pairs = [(group["on_path"] - 1, group) for group in groups if group["mean_similarity"] is not None]
    if weight := sum(w for w, _ in pairs):
        mean, most = (
            sum(w * group[name] for w, group in pairs) / weight for name in ("mean_similarity", "most_similarity")
        )
        lines[0] += f" Mean cosine of consecutive documents: {mean:.3f}, of at most {most:.3f}."
    if n_pairs := total([row for row in packing if row["path_pairs"]], "path_pairs"):
        lines[0] += f" Adjacent in a sequence: {total(packing, 'adjacent_pairs'):,} of {n_pairs:,} consecutive pairs."
    if near := total(groups, "near_copies"):
        largest = max(group.get("largest_near_set", 0) for group in groups)  # an earlier release's catalog has none
        size = f"; the largest set has {largest:,}" if largest else ""
        lines.append(
            f"Near copies: {counted(near, 'document')} left the path. No sequence has two documents of a near set{size}."
        )
    return lines


def unfollowed(recipe: "Recipe") -> list[str]:
    """A sentence where the packer ignores the path that the order makes; none elsewhere."""
    if not recipe.order.makes_path or recipe.pack.packer != "best_fit":
        return []
    return [f'pack.packer = "best_fit" does not follow the path of order.by = "{recipe.order.by}"; "in_order" does']


def extension(groups: Rows) -> list[str]:
    """A sentence on the chunks of a mix packed by negative_extension; none in another mix.

    groups: of the view `extension`.
    """
    if not groups:
        return []
    chunks, extended = total(groups, "chunks"), total(groups, "extended")
    line = f"Chunks: {counted(chunks, 'chunk')}, {extended:,} of them after a chunk that they are a neighbour of"
    if extended:
        mean = sum(group["extended"] * group["mean_similarity"] for group in groups if group["extended"]) / extended
        line += f", with a mean cosine of {mean:.3f}"
    return [f"{line}. {counted(total(groups, 'parted'), 'document')} in more than one segment."]


def sources(rows: Rows, column: str) -> str:
    """Such as "books: 3, web: 1"."""
    return ", ".join(f"{row['source']}: {row[column]:,}" for row in rows if row[column])


def total(rows: Rows, column: str) -> int:
    return sum(row[column] for row in rows)


def counted(n: int, noun: str) -> str:
    return f"{n:,} {noun}{'' if n == 1 else 's'}"


def choice(quotas: Rows, not_chosen: Rows) -> list[str]:
    """Sentences on what a choice of samples did not get or passed over; none where it got all and passed over none.

    quotas: of the view `quotas`. not_chosen: rows of the view `choices` whose reason is not NULL.
    """
    lines = []
    for why, key in (("top", "choose.top"), ("short", "choose.short_share")):
        rows = [row for row in quotas if row["why"] == why]
        if missing := total(rows, "target") - total(rows, "chosen"):
            lines.append(
                f"Shortfall: {missing:,} of {counted(total(rows, 'target'), 'sample')} that {key} asks for cannot be "
                "supplied and are not substituted."
            )
    by_reason: dict[str, int] = {}
    for row in not_chosen:
        by_reason[row["reason"]] = by_reason.get(row["reason"], 0) + row["samples"]
    lines += [
        f"{sentence.format(counted(by_reason[reason], 'sample'))}"
        for reason, sentence in PASSED_OVER.items()
        if reason in by_reason
    ]
    return lines


PASSED_OVER = {  # reason of the view choices -> a sentence with a place for their number
    "similar": "Passed over: {}, each similar to a higher chosen one (choose.max_similarity).",
    "too_long": "Too long: {} with more tokens than a sequence; they are not cut and not chosen.",
    "budget": "Not scored: {}, since influence.budget_tokens was spent.",
    "not_measured": "Not measured: {} without a score that the choice needs.",
}
