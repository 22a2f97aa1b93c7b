"""README.md of a published version: what is in it, in what shares, and how to read it. Hub front matter included."""

import json
from dataclasses import dataclass
from pathlib import Path

import duckdb

from pipelines import findings, markdown
from pipelines.catalog import rows_of
from pipelines.encode import EncodeParams, bos_id, eos_id
from pipelines.publish.figures import SHARES, Answer, answer, lengths, of_rows
from pipelines.publish.hub import front_matter
from pipelines.recipe import Recipe
from pipelines.supply import selection, sentences, short_cells

LICENSES = "SELECT * REPLACE (coalesce(license, 'not stated') AS license) FROM licenses"
READING = """\
```python
from datasets import load_dataset

rows = load_dataset({folder}, split="train")
```

The path is that of this version's folder when it was published; on the hub, give the name of its repository instead.

`catalog.duckdb` holds the statistics; the DuckDB command line alone opens it: `duckdb catalog.duckdb "FROM lengths"`,
`"FROM targets"`, `"SELECT verdict, count(*) FROM documents GROUP BY ALL"`, `"FROM segments WHERE sequence_id = 0"`."""


@dataclass(frozen=True)
class Edition:
    """Which version a page is of.

    Attributes:
        folder: where the version is published.
        notes: of the engine that built it: sentences on the input.
    """

    version: str
    folder: Path
    notes: tuple[str, ...]


def table(shown: Answer, *, has_sum: bool = False) -> str:
    """A Markdown table. has_sum: the last row is the sum of the others."""
    return markdown.table(shown.headings, shown.rows, shown.is_figure, has_sum=has_sum)


def supply(con: duckdb.DuckDBPyConnection) -> str:
    """What the corpus could not supply, the cells that fall short, and what the plan left out."""
    targets = rows_of(con, "FROM targets")
    short = short_cells(targets)
    parts = [*sentences(targets), *([table(of_rows(short))] if short else [])]
    return "\n\n".join([*parts, *map(markdown.sentence, selection(rows_of(con, "FROM left_out")))])


def marks(encode: EncodeParams) -> str:
    """How a document begins and ends in `input_ids`."""
    end = f"`eos_token` = {markdown.code(encode.eos_token)} (id {eos_id(encode)})"
    if encode.bos_token is None:
        return f"The last token of a document is {end}; a segment has it if it reaches the end. There is no BOS."
    start = f"`bos_token` = {markdown.code(encode.bos_token)} (id {bos_id(encode)})"
    return (
        f"The first token of a document is {start}, the last is {end}; a segment has the first if it begins at the start "
        "of the document, the last if it reaches the end. Both count as tokens."
    )


def rejected(con: duckdb.DuckDBPyConnection) -> str:
    """What was rejected, and what the tokenizer refused or lost."""
    rejections, encoding = rows_of(con, "FROM rejections"), findings.encoding(rows_of(con, "FROM encoding"))
    counts = f"Rejected: {findings.rejected(rejections)}." if rejections else "Rejected: none."
    return "\n\n".join([counts, *map(markdown.sentence, encoding)])


def notes(edition: Edition) -> str:
    """The notes on the input, as a section; empty where there is none."""
    if not edition.notes:
        return ""
    return "\n\n".join(["## Notes on the input", "\n".join(f"- {markdown.sentence(n)}" for n in edition.notes), ""])


def licenses(con: duckdb.DuckDBPyConnection) -> list[str | None]:
    """Of the documents in the mix, each once."""
    return [row["license"] for row in rows_of(con, "SELECT license FROM licenses ORDER BY ALL")]


def size(con: duckdb.DuckDBPyConnection) -> str:
    (totals,) = rows_of(con, "FROM totals")
    return (
        f"{totals['tokens']:,} tokens in {totals['sequences']:,} sequences of at most {totals['sequence_tokens']:,} tokens "
        f"({totals['fill_share'] or 0:.2%} filled), in {totals['segments']:,} segments"
    )


def order(con: duckdb.DuckDBPyConnection, recipe: Recipe) -> str:
    """Which documents share a sequence."""
    if not recipe.order.makes_path:
        return "Documents share a sequence by chance: they are packed in an order of hashes."
    encoder = recipe.order.encoder if recipe.order.needs_vectors else None
    vectors = f", from the vectors of {markdown.code(encoder.folder.name)}" if encoder else ""
    by = f"A path through related documents by `{recipe.order.by}`{vectors}, packed by `{recipe.pack.packer}`."
    chunks = findings.extension(rows_of(con, "FROM extension"))
    path = findings.path(rows_of(con, "FROM path_quality"), rows_of(con, "FROM packing"))
    return "\n\n".join([by, *path, *chunks])


def card(con: duckdb.DuckDBPyConnection, recipe: Recipe, edition: Edition) -> str:
    """The card's Markdown, from the views alone."""
    (totals,) = rows_of(con, "FROM totals")
    tags, configs = ("long-context", "pretraining"), {"default": "sequences-*.parquet"}
    return f"""{front_matter(recipe.mix, licenses(con), totals["sequences"], tags, configs)}
# {recipe.mix}, version {edition.version}

{size(con)}. A row of `sequences-*.parquet` holds `input_ids`, `cu_seqlens` (where each segment begins, for attention that
stays inside a document) and `segments` (the document and the range of tokens of each segment).

{marks(recipe.encode)}

{READING.format(folder=json.dumps(str(edition.folder)))}

{notes(edition)}## Budget

{supply(con)}

## Order

{order(con, recipe)}

## Tokens in the mix, by domain and length of the document

{table(lengths(con, "drawn_tokens"), has_sum=True)}

## Tokens that dedup kept, by domain and length of the document

{table(lengths(con, "tokens"), has_sum=True)}

## Shares

{table(answer(con, SHARES))}

## Deduplication and rejected records

{table(answer(con, "SELECT * EXCLUDE (n_bytes) FROM sources"))}

{rejected(con)}

## Licenses of the documents in the mix

As the sources state them. The table `documents` of the catalog has the license of each document.

{table(answer(con, LICENSES))}

## Recipe

{markdown.fence(json.dumps(recipe.identity(), indent=1), "json")}
"""
