"""`longmix diff`: documents and tokens that come in and go out between two versions of a mix, by domain."""

from pathlib import Path
from typing import Any

import duckdb

from pipelines.catalog import literal, rows_of
from pipelines.versions import find_version
from schemas.errors import RecipeError
from schemas.manifest import Manifest

QUERY = """
WITH copies AS (
    SELECT domain, 'corpus' AS what, document_id, 0 AS epoch, n_tokens AS tokens, -1 AS side FROM before.documents
    WHERE n_tokens IS NOT NULL
    UNION ALL SELECT domain, 'corpus', document_id, 0, n_tokens, 1 FROM after.documents WHERE n_tokens IS NOT NULL
    UNION ALL SELECT domain, 'mix', document_id, epoch, drawn_tokens, -1 FROM before.draws
    UNION ALL SELECT domain, 'mix', document_id, epoch, drawn_tokens, 1 FROM after.draws
), net AS (
    SELECT domain, what, document_id, epoch, sum(tokens * side)::BIGINT AS change, sum(side) AS side
    FROM copies GROUP BY ALL
)
SELECT domain, what,
    count(*) FILTER (side = 1) AS documents_in, count(*) FILTER (side = -1) AS documents_out,
    coalesce(sum(change) FILTER (change > 0), 0)::BIGINT AS tokens_in,
    coalesce(-sum(change) FILTER (change < 0), 0)::BIGINT AS tokens_out
FROM net GROUP BY ALL ORDER BY what, domain
"""


def changes(before: Path, after: Path) -> list[dict[str, Any]]:
    """A row for each domain of the corpus (documents that were encoded) and of the mix (copies that were drawn).

    Args:
        before, after: folders of versions.
    """
    with duckdb.connect() as con:
        for name, folder in (("before", before), ("after", after)):
            con.execute(f"ATTACH {literal(str(folder / 'catalog.duckdb'))} AS {name} (READ_ONLY)")
        return rows_of(con, QUERY)


def two_versions(root: Path, before: str | None, after: str | None, mix: str | None) -> tuple[Path, Path]:
    """The folders of two versions: the newest where `after` is not given, its base where `before` is not.

    Raises:
        RecipeError: a version does not exist, or has no base.
    """
    newer = find_version(root.absolute(), mix)
    build_root, mix = newer.parents[2], newer.parent.name
    if after:
        newer = find_version(build_root, mix, after)
    base = before or Manifest.of(newer).base
    if base is None:
        raise RecipeError(
            f"{newer}: built without a base; name the version to compare with, as in longmix diff ROOT BEFORE"
        )
    return find_version(build_root, mix, base), newer
