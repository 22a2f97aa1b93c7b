"""`longmix list`: the mixes and versions of a root."""

import csv
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from flows.options import BuildRoot, Format, FormatOption
from flows.terminal import echo, echo_data

HEAD = ("mix", "version", "sequences", "tokens", "size", "built", "base")


def list_versions(root: BuildRoot = Path("data/mixes"), form: FormatOption = Format.table) -> None:
    """List the mixes and versions of a root. With their sequences, tokens, size on disk, time of the build and base."""
    from pipelines.overview import overview

    rows = overview(root)
    if form is Format.table:
        echo(table(rows))
    else:
        echo_data(json_lines(rows) if form is Format.json else csv_lines(rows))


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """The rows of pipelines/overview.py within 80 columns; the newest version of each mix has a star."""
    from flows.tables import aligned

    cells = [
        [
            row["mix"], row["version"] + (" *" if row["latest"] else ""), figure(row["sequences"]), figure(row["tokens"]),
            size(row["bytes"]), (row["built"] or "-")[:16].replace("T", " "), row["base"] or "-",
        ]
        for row in rows
    ]  # fmt: skip
    lines = aligned(HEAD, cells, n_text=2, indent=0)
    return "\n".join([*lines, "* the newest of its mix; size: of the published files"])


def figure(n: int | None) -> str:
    from flows.tables import compact

    return "-" if n is None else compact(n)


def size(n_bytes: int) -> str:
    for unit, limit in (("kB", 1e6), ("MB", 1e9), ("GB", 1e12)):
        if n_bytes < limit:
            return f"{n_bytes / (limit / 1e3):,.1f} {unit}"
    return f"{n_bytes / 1e12:,.1f} TB"


def json_lines(rows: Sequence[Mapping[str, Any]]) -> str:
    return "\n".join(json.dumps(row, ensure_ascii=False) for row in rows)


def csv_lines(rows: Sequence[Mapping[str, Any]]) -> str:
    out = io.StringIO()
    writer = csv.DictWriter(out, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue().rstrip("\n")
