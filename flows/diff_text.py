"""The wording of the documents that `longmix diff` names."""

from collections.abc import Sequence

from flows.tables import aligned
from pipelines.diff import Changed


def documents_text(rows: Sequence[Changed], n_by_change: dict[str, int]) -> str:
    """The first documents of each change by name, and how many there are.

    n_by_change: "in", "out" and "renamed" -> the number of all documents of the corpus that changed so.
    """
    lines: list[str] = []
    for change, n in n_by_change.items():
        some = [row for row in rows if row.change == change]
        if not some:
            continue
        first = f", the first {len(some):,}" if len(some) < n else ""
        lines += ["", f"Documents {change}: {n:,}{first}"]
        lines += aligned(["file", "id", "source", "record", "tokens"], [cells(row) for row in some], n_text=3)
    return "\n".join(lines)


def cells(row: Changed) -> list[str]:
    file = f"{row.earlier_file} -> {row.file}" if row.earlier_file else row.file
    return [file, row.record_id or row.document_id[:12], row.source, f"{row.record:,}", f"{row.n_tokens:,}"]
