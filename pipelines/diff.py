"""`longmix diff`: documents and tokens that come in and go out between two versions of a mix, by domain."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from pipelines.catalog import literal, rows_of
from pipelines.versions import find_version
from schemas.errors import RecipeError
from schemas.manifest import Manifest

# A document is compared by the hash of its text: under another file name or id it is the same, and renamed.
SIDES = """
CREATE TEMP TABLE {side}_documents AS
SELECT domain, source, file, record, {record_id} AS record_id, document_id, content_hash, n_tokens
FROM {side}.documents WHERE n_tokens IS NOT NULL
"""
COPIES = """
CREATE TEMP TABLE copies AS
SELECT domain, 'corpus' AS what, document_id, content_hash, 0 AS epoch, n_tokens AS tokens, -1 AS side
FROM before_documents
UNION ALL SELECT domain, 'corpus', document_id, content_hash, 0, n_tokens, 1 FROM after_documents
UNION ALL SELECT w.domain, 'mix', w.document_id, d.content_hash, w.epoch, w.drawn_tokens, -1
FROM before.draws w JOIN (SELECT DISTINCT document_id, content_hash FROM before_documents) d USING (document_id)
UNION ALL SELECT w.domain, 'mix', w.document_id, d.content_hash, w.epoch, w.drawn_tokens, 1
FROM after.draws w JOIN (SELECT DISTINCT document_id, content_hash FROM after_documents) d USING (document_id)
"""
CHANGES = """
WITH by_id AS (
    SELECT domain, what, content_hash, epoch, document_id, sum(tokens * side) AS change,
        count(*) FILTER (side = -1) AS n_before, count(*) FILTER (side = 1) AS n_after
    FROM copies GROUP BY ALL
), net AS (
    SELECT domain, what, content_hash, epoch, sum(change) AS change, sum(n_before) AS n_before, sum(n_after) AS n_after,
        sum(least(n_before, n_after)) AS n_same
    FROM by_id GROUP BY ALL
)
SELECT domain, what,
    sum(greatest(n_after - n_before, 0))::BIGINT AS documents_in,
    sum(greatest(n_before - n_after, 0))::BIGINT AS documents_out,
    sum(least(n_before, n_after) - n_same)::BIGINT AS renamed,
    coalesce(sum(change) FILTER (change > 0), 0)::BIGINT AS tokens_in,
    coalesce(-sum(change) FILTER (change < 0), 0)::BIGINT AS tokens_out
FROM net GROUP BY ALL ORDER BY what, domain
"""
LISTED = """
WITH before_placed AS ({before}), after_placed AS ({after}), pairs AS (
    SELECT CASE WHEN b.document_id IS NULL THEN 'in' WHEN a.document_id IS NULL THEN 'out' ELSE 'renamed' END AS change,
        coalesce(a.domain, b.domain) AS domain, coalesce(a.source, b.source) AS source, coalesce(a.file, b.file) AS file,
        coalesce(a.record, b.record) AS record, coalesce(a.record_id, b.record_id) AS record_id,
        coalesce(a.document_id, b.document_id) AS document_id, coalesce(a.n_tokens, b.n_tokens) AS n_tokens,
        CASE WHEN a.document_id IS NOT NULL THEN b.file END AS earlier_file
    FROM before_placed b FULL JOIN after_placed a USING (content_hash, domain, place)
    WHERE a.document_id IS DISTINCT FROM b.document_id
)
SELECT *, count(*) OVER (PARTITION BY change) AS n FROM pairs
QUALIFY row_number() OVER (PARTITION BY change ORDER BY domain, source, file, record, document_id) <= ?
ORDER BY change, domain, source, file, record, document_id
"""
# The nth document of a text in a domain before is compared with the nth after, those with the same id first.
PLACED = """
SELECT d.*, row_number() OVER (
    PARTITION BY d.content_hash, d.domain ORDER BY o.document_id IS NULL, d.document_id
) AS place
FROM {side}_documents d LEFT JOIN (SELECT DISTINCT document_id, domain FROM {other}_documents) o USING (document_id, domain)
"""


@dataclass(frozen=True)
class Changed:
    """A document of the corpus that came in, went out or was renamed.

    Attributes:
        change: in, out or renamed.
        file, record, record_id, document_id: of the newer version, for a document that went out of the older.
        earlier_file: of a renamed document, in the older version.
    """

    change: str
    domain: str
    source: str
    file: str
    record: int
    record_id: str | None
    document_id: str
    n_tokens: int
    earlier_file: str | None


@dataclass(frozen=True)
class DocumentsChanged:
    """rows: the first of each kind of change. n_in, n_out, n_renamed: all of them."""

    rows: tuple[Changed, ...]
    n_in: int
    n_out: int
    n_renamed: int


def changes(before: Path, after: Path) -> list[dict[str, Any]]:
    """A row for each domain of the corpus (documents that were encoded) and of the mix (copies that were drawn).

    Args:
        before, after: folders of versions.
    """
    with compared(before, after) as con:
        con.execute(COPIES)
        return rows_of(con, CHANGES)


def documents_changed(older: Path, newer: Path, limit: int) -> DocumentsChanged:
    """The documents of the corpus that came in, went out or were renamed.

    Args:
        older, newer: folders of versions.
        limit: rows of each of the three.
    """
    placed = {side: PLACED.format(side=side, other=other) for side, other in (("before", "after"), ("after", "before"))}
    with compared(older, newer) as con:
        answer = con.execute(LISTED.format(**placed), [limit])
        columns = [column[0] for column in answer.description or []]
        rows = [dict(zip(columns, row, strict=True)) for row in answer.fetchall()]
    n = {row["change"]: row.pop("n") for row in rows}
    return DocumentsChanged(tuple(Changed(**row) for row in rows), n.get("in", 0), n.get("out", 0), n.get("renamed", 0))


@contextmanager
def compared(before: Path, after: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection with the catalogs `before` and `after`, and the encoded documents of each."""
    with duckdb.connect() as con:
        for side, folder in (("before", before), ("after", after)):
            con.execute(f"ATTACH {literal(str(folder / 'catalog.duckdb'))} AS {side} (READ_ONLY)")
            columns = [row[0] for row in con.execute(f"DESCRIBE {side}.documents").fetchall()]
            record_id = "record_id" if "record_id" in columns else "NULL::VARCHAR"
            con.execute(SIDES.format(side=side, record_id=record_id))
        yield con


def two_versions(root: Path, before: str | None, after: str | None, mix: str | None) -> tuple[Path, Path]:
    """The folders of two versions: the newest where `after` is not given, its base where `before` is not.

    Without `mix`, two versions that are both named may be of two mixes.

    Raises:
        RecipeError: a version does not exist, or has no base.
    """
    start = find_version(root.absolute(), mix, after or before or "latest")
    build_root, is_folder_of_version = start.parents[2], start == root.absolute()
    if is_folder_of_version or not (before and after):
        mix = start.parent.name
    newer = start if is_folder_of_version and not after else find_version(build_root, mix, after or "latest")
    if before:
        return find_version(build_root, mix, before), newer
    base = Manifest.of(newer).base
    if base is None or not (newer.with_name(base) / "manifest.json").is_file():
        finding = f"its base {base} was removed" if base else "built without a base"
        raise RecipeError(f"{newer}: {finding}; name the version to compare with, as in longmix diff ROOT BEFORE")
    return newer.with_name(base), newer
