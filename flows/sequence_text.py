"""The wording of `longmix show`: a sequence, segment by segment."""

from collections.abc import Mapping, Sequence
from typing import Any

from flows.text import filled
from pipelines.findings import counted

Row = Mapping[str, Any]


def sequence_head(number: str, name: str, row: Row) -> str:
    n = row["n_segments"]
    return f"Sequence {number} of {name}: {row['n_tokens']:,} tokens, {counted(n, 'segment')}\n  in {row['file']}"


def segment(row: Row, ends: Sequence[str], earlier: Sequence[Row] = ()) -> list[str]:
    """One segment: its place, its document, where that came from, why it is there, and its text.

    Args:
        ends: its complete text, or how it begins and how it ends; empty to show none.
        earlier: the segments before it in the sequence.
    """
    n_tokens, start, stop = row["n_tokens"], row["document_start"], row["document_stop"]
    part = "a complete document" if (start, stop) == (0, n_tokens) else f"tokens [{start:,}, {stop:,}) of {n_tokens:,}"
    copy = f", copy {row['epoch'] + 1}" if row["epoch"] else ""
    pad = f", then {counted(row['n_pad'], 'pad or marker token')}" if row["n_pad"] else ""
    labels = ("text", "") if len(ends) == 1 else ("begins", "ends")
    return [
        f"  [{row['sequence_start']:,}, {row['sequence_stop']:,})  {row['domain']}, {part}{copy}{pad}",
        f"    document {row['document_id']} of source {row['source']}",
        f"    {row['file']}, record {row['record']:,} of the shard at byte {row['first_byte'] or 0:,}",
        f"    origin {row['origin'] or '-'}, license {row['license'] or '-'}",
        *(line for line in filled(reason(row, earlier), indent=4)),
        *(line for label, end in zip(labels, ends, strict=False) for line in filled(f"{label} {end!r}", indent=4)),
    ]


def reason(row: Row, earlier: Sequence[Row]) -> str:
    """Why the segment follows those before it; empty in a mix without an order."""
    if not row["is_ordered"]:
        return ""
    if row["is_chunk"]:
        return as_chunk(row)
    before = earlier[-1] if earlier else None
    if row["document_start"] and (continued := continued_by(row, earlier)):
        where = f"[{continued['sequence_start']:,}, {continued['sequence_stop']:,})"
        return f"continues the document of {'the segment before it' if continued is before else where}"
    if row["epoch"]:
        return "a further copy, packed apart from the others"
    if row["path_position"] is None:
        return f"a near copy of {row['near_set']}, packed apart from it"
    return on_path(row, before)


def continued_by(row: Row, earlier: Sequence[Row]) -> Row | None:
    """The earlier segment at whose end a segment's part of their document begins."""
    begins = row["document_id"], row["epoch"], row["document_start"]
    for other in reversed(earlier):
        if (other["document_id"], other["epoch"], other["document_stop"]) == begins:
            return other
    return None


def as_chunk(row: Row) -> str:
    """Why a segment of a mix packed by negative_extension begins here: as a neighbour, or as the next of its document."""
    if row["after_document_id"] is None:
        first = "a document" if row["document_start"] == 0 else "the next chunk of a document"
        return f"{first} at place {row['path_position']:,} of the path"
    return (
        f"a neighbour of the chunk of {row['after_document_id']} that begins at its token {row['after_start']:,}, cosine "
        f"{row['chunk_similarity']:.3f}"
    )


def on_path(row: Row, before: Row | None) -> str:
    """How a document of the path is related to the segment before it."""
    where = f"place {row['path_position']:,} of the path"
    if row["document_start"]:
        return f"{where}; its document begins in another sequence"
    if not row["path_position"]:
        return f"{where}, its beginning"
    if not before:
        return f"{where}; the sequence begins here"
    if before["path_position"] != row["path_position"] - 1:
        return f"{where}; does not follow place {row['path_position'] - 1:,} here"
    cosine = "" if row["similarity_to_previous"] is None else f", cosine {row['similarity_to_previous']:.3f}"
    if row["restarts"]:
        return f"{where}; the path restarts here{cosine}"
    return f"{where}; {'a neighbour of' if cosine else 'follows'} the document before it{cosine}"
