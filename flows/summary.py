"""What a build says at its end: where the dataset is, what is in it, and what to try next."""

import os
import shlex
import shutil
import sys
from pathlib import Path

import duckdb
import numpy as np

from flows.query import printed
from flows.text import grid
from pipelines.publish.report import NOT_SCORED, was_asked
from pipelines.versions import Version
from schemas.lengths import BUCKETS


def summary(version: Version, root: Path, seconds: float) -> str:
    with catalog(version) as con:
        n_rows, n_tokens = con.execute("SELECT count(*), sum(n_tokens)::BIGINT FROM sequences").fetchall()[0]
        tokens = "\n".join(grid(*by_length(con)))
        relation = con.sql("FROM shares")
        shares = printed(relation.columns, relation.fetchall())
        judged = scores(con)
    state = "made" if version.is_new else "was there already, nothing to make;"
    return f"""
{version.mix} {version.version} {state} in {seconds:,.0f} s: {n_tokens:,} tokens in {n_rows:,} sequences
  {version.folder}

Tokens in the mix, by domain and length of the whole document
{tokens}

Shares of the corpus and of the mix
{shares}
{judged}
Next, for example:
  {longmix()} show {quoted(root)} 0
  {longmix()} query {quoted(root)} "SELECT verdict, count(*) FROM documents GROUP BY ALL"
  open {quoted(version.folder / "report.html")}
"""


def scores(con: duckdb.DuckDBPyConnection) -> str:
    """What the model said, by domain and length, and what it did not look at; empty where no model was asked."""
    if not was_asked(con):
        return ""
    found = con.sql("SELECT * FROM scores_by_length WHERE scored > 0")
    rows = found.fetchall()
    why = con.sql(NOT_SCORED)
    return f"""
chunk_gain: how much easier far chunks make one another, nats per token (10 %, median, 90 % of documents)
{printed(found.columns, rows) if rows else "  no document has a score"}

Not scored by the model
{printed(why.columns, why.fetchall())}
"""


def catalog(version: Version) -> duckdb.DuckDBPyConnection:
    return duckdb.connect(str(version.folder / "catalog.duckdb"), read_only=True)


def by_length(con: duckdb.DuckDBPyConnection) -> tuple[tuple[str, ...], np.ndarray]:
    """Domains, and [d, 9] tokens in the mix by domain and length bucket."""
    cells = con.execute("SELECT domain, length_bucket::VARCHAR, drawn_tokens FROM lengths").fetchall()
    domains = tuple(sorted({domain for domain, _, _ in cells}))
    tokens = np.zeros((len(domains), len(BUCKETS)), np.int64)
    for domain, bucket, n in cells:
        tokens[domains.index(domain), BUCKETS.index(bucket)] = n
    return domains, tokens


def longmix() -> str:
    """How to type the command: by its name where that is on the path, else as it was typed."""
    return "longmix" if shutil.which("longmix") else quoted(Path(os.path.relpath(sys.argv[0])))


def quoted(path: Path) -> str:
    return shlex.quote(str(path))
