"""README.md of a published version: what is in it, in what shares, and how to read it. Hub front matter included."""

import json

import duckdb

from pipelines.recipe import Recipe
from schemas.lengths import BUCKETS


def table(head: list[str], rows: list[list[object]]) -> str:
    """A Markdown table, figures to the right."""
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *[[figure(cell) for cell in row] for row in rows]]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def figure(cell: object) -> str:
    if isinstance(cell, float):
        return f"{cell:.2%}"
    return f"{cell:,}" if isinstance(cell, int) else str(cell)


def lengths(con: duckdb.DuckDBPyConnection, column: str) -> str:
    """Tokens by domain (rows) and length bucket (columns); `column` is tokens (before) or drawn_tokens (in the mix)."""
    cells = con.execute(f"SELECT domain, length_bucket::VARCHAR, {column} FROM lengths").fetchall()
    found = {(domain, bucket): n for domain, bucket, n in cells}
    domains = sorted({domain for domain, _, _ in cells})
    rows: list[list[object]] = [
        [domain, *(found.get((domain, b), 0) for b in BUCKETS), sum(found.get((domain, b), 0) for b in BUCKETS)]
        for domain in domains
    ]
    total = ["all", *(sum(found.get((d, b), 0) for d in domains) for b in BUCKETS), sum(found.values())]
    return table(["domain", *BUCKETS, "all"], [*rows, total])


def shares(con: duckdb.DuckDBPyConnection) -> str:
    query = "SELECT domain, tokens, corpus_share, drawn_tokens, mix_share FROM shares"
    rows = [list(row) for row in con.execute(query).fetchall()]
    return table(["domain", "tokens kept", "share", "tokens in the mix", "share of the mix"], rows)


def dropped(con: duckdb.DuckDBPyConnection) -> str:
    query = """
        SELECT source, count(*), count(*) FILTER (verdict = 'kept'), count(*) FILTER (verdict = 'exact'),
            count(*) FILTER (verdict = 'near'), coalesce(any_value(n), 0)
        FROM documents LEFT JOIN (SELECT source, count(*) AS n FROM rejected GROUP BY source) USING (source)
        GROUP BY source ORDER BY source
    """
    rows = [list(row) for row in con.execute(query).fetchall()]
    return table(["source", "documents", "kept", "exact copies", "near copies", "records rejected"], rows)


def licenses(con: duckdb.DuckDBPyConnection) -> str:
    query = """
        SELECT coalesce(license, 'not stated'), count(DISTINCT document_id), sum(drawn_tokens)::BIGINT
        FROM draws JOIN (SELECT document_id, license FROM documents WHERE verdict = 'kept') USING (document_id)
        GROUP BY 1 ORDER BY 3 DESC
    """
    return table(["license", "documents", "tokens"], [list(row) for row in con.execute(query).fetchall()])


def card(con: duckdb.DuckDBPyConnection, recipe: Recipe, version: str) -> str:
    """The card's Markdown, from the views alone."""
    n_sequences, n_tokens, n_segments = con.execute(
        "SELECT count(*), coalesce(sum(n_tokens), 0)::BIGINT, coalesce(sum(n_segments), 0)::BIGINT FROM sequences"
    ).fetchall()[0]
    fill = n_tokens / max(1, n_sequences * recipe.pack.sequence_tokens)
    return f"""---
pretty_name: {recipe.mix}
configs:
  - config_name: default
    data_files: sequences-*.parquet
tags: [long-context, pretraining]
---
# {recipe.mix}, version {version}

{n_tokens:,} tokens in {n_sequences:,} sequences of at most {recipe.pack.sequence_tokens:,} ({fill:.2%} filled), cut from
{n_segments:,} segments. A row of `sequences-*.parquet` holds `input_ids`, `cu_seqlens` (where each segment begins, for
attention that stays inside a document) and `segments` (which tokens of which document they are).

```python
from datasets import load_dataset
rows = load_dataset("parquet", data_files="sequences-*.parquet", split="train")
```

`duckdb catalog.duckdb` answers questions with nothing else installed: `FROM lengths`, `FROM shares`,
`SELECT verdict, count(*) FROM documents GROUP BY ALL`, `FROM segments WHERE sequence_id = 0`.

## Tokens in the mix, by domain and length of the whole document

{lengths(con, "drawn_tokens")}

## Tokens before, after deduplication

{lengths(con, "tokens")}

## Shares

{shares(con)}

## What was dropped

{dropped(con)}

## Licenses of what is in the mix

As the sources state them, document by document in the catalog's `documents`.

{licenses(con)}

## Recipe

```json
{json.dumps(recipe.identity(), indent=1)}
```
"""
