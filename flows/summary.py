"""What a build says at its end: where the dataset is, what is in it, and what to try next."""

from pathlib import Path

import duckdb

from flows.ask import printed
from pipelines.publish import Version

PIVOT = """
PIVOT (SELECT domain, length_bucket, {column} AS n FROM lengths UNION ALL BY NAME
       SELECT 'all' AS domain, length_bucket, sum({column})::BIGINT AS n FROM lengths GROUP BY ALL)
ON length_bucket USING coalesce(sum(n), 0)::BIGINT GROUP BY domain ORDER BY domain = 'all', domain
"""


def summary(version: Version, root: Path, seconds: float) -> str:
    with duckdb.connect(str(version.folder / "catalog.duckdb"), read_only=True) as con:
        n_rows, n_tokens = con.execute("SELECT count(*), sum(n_tokens)::BIGINT FROM sequences").fetchall()[0]
        relation = con.sql(PIVOT.format(column="drawn_tokens"))
        tokens = printed(relation.columns, relation.fetchall())
        relation = con.sql("FROM shares")
        shares = printed(relation.columns, relation.fetchall())
    state = "made" if version.is_new else "was there already, nothing to make;"
    return f"""
{version.mix} {version.version} {state} in {seconds:,.0f} s: {n_tokens:,} tokens in {n_rows:,} sequences
  {version.folder}

Tokens in the mix, by domain and length of the whole document
{tokens}

Shares of the corpus and of the mix
{shares}

Next, for example:
  longmix show {quoted(root)} 0
  longmix query {quoted(root)} "SELECT verdict, count(*) FROM documents GROUP BY ALL"
  duckdb {quoted(version.folder / "catalog.duckdb")} "FROM lengths"
"""


def quoted(path: Path) -> str:
    from shlex import quote

    return quote(str(path))
