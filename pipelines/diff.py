"""What differs between two versions of a mix: documents and tokens, in and out, by domain."""

from pathlib import Path

import duckdb

from flows.query import printed

QUERY = """
WITH kept AS (
    SELECT domain, 'corpus' AS what, document_id, 0 AS epoch, n_tokens AS tokens, v FROM before.documents, (SELECT -1 AS v)
    WHERE verdict = 'kept'
    UNION ALL SELECT domain, 'corpus', document_id, 0, n_tokens, 1 FROM after.documents WHERE verdict = 'kept'
    UNION ALL SELECT domain, 'mix', document_id, epoch, drawn_tokens, -1 FROM before.draws
    UNION ALL SELECT domain, 'mix', document_id, epoch, drawn_tokens, 1 FROM after.draws
), net AS (
    SELECT domain, what, document_id, epoch, sum(tokens * v)::BIGINT AS change, sum(v) AS side FROM kept GROUP BY ALL
)
SELECT domain, what,
    count(*) FILTER (side = 1) AS documents_in, count(*) FILTER (side = -1) AS documents_out,
    coalesce(sum(change) FILTER (change > 0), 0)::BIGINT AS tokens_in,
    coalesce(-sum(change) FILTER (change < 0), 0)::BIGINT AS tokens_out
FROM net GROUP BY ALL ORDER BY what, domain
"""


def changes(before: Path, after: Path) -> list[dict]:
    """A row for each domain of the corpus (what dedup kept) and of the mix (copies drawn): what came in and went out.

    Args:
        before, after: folders of versions.
    """
    with duckdb.connect() as con:
        for name, folder in (("before", before), ("after", after)):
            path = str(folder / "catalog.duckdb").replace("'", "''")
            con.execute(f"ATTACH '{path}' AS {name} (READ_ONLY)")
        answer = con.execute(QUERY)
        columns = [column[0] for column in answer.description or []]
        return [dict(zip(columns, row, strict=True)) for row in answer.fetchall()]


def told(rows: list[dict], before: str, after: str) -> str:
    """The same for people."""
    return f"From {before} to {after}:\n" + printed(list(rows[0]), [tuple(row.values()) for row in rows])
