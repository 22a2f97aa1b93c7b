"""README.md of a published set of instruction samples. See card.py, whose pieces it uses."""

import json
from pathlib import Path

import duckdb

from pipelines import findings, markdown
from pipelines.catalog import rows_of
from pipelines.chosen import BY_DOMAIN, COMPARED, NOT_CHOSEN, QUOTAS, TOTALS, TRAINED, method
from pipelines.publish.card import LICENSES, Edition, licenses, notes, rejected, size, table
from pipelines.publish.figures import answer, lengths
from pipelines.publish.hub import front_matter
from pipelines.sft_recipe import SftRecipe
from pipelines.store.files import HashedFile

READING = """\
Packed, with labels, for a loop of your own or a trainer that takes `input_ids` and `labels` as they are:

```python
from datasets import load_dataset

rows = load_dataset({folder}, split="train")
```

The path is that of this version's folder when it was published; on the hub, give the name of its repository instead.

As messages, for a trainer that applies a chat template itself, such as TRL:

```python
from datasets import load_dataset
from trl import SFTConfig, SFTTrainer

samples = load_dataset({folder}, "messages", split="train").select_columns("messages")
trainer = SFTTrainer(model, train_dataset=samples, args=SFTConfig(assistant_only_loss=True, max_length=None))
```

`assistant_only_loss` needs a template with `{{% generation %}}`; the labels of the packed rows need none. For TRL with the
packed rows: `rows.select_columns(["input_ids", "labels"])`.

`catalog.duckdb` holds the statistics; the DuckDB command line alone opens it: `duckdb catalog.duckdb "FROM samples"`,
`"FROM quotas"`, `"FROM choices"`, `"FROM segments WHERE sequence_id = 0"`."""


def template_of(recipe: SftRecipe) -> str:
    template = recipe.samples.template
    return (
        f"the file {markdown.code(Path(template.path).name)} ({template.hash})"
        if isinstance(template, HashedFile)
        else markdown.code(template)
    )


def contents(recipe: SftRecipe, totals: dict, trained: int) -> str:
    """What the set is, and where there is a loss."""
    short = f" and {findings.counted(totals['short'], 'short instruction')}" if totals["short"] else ""
    return (
        f"{totals['top']:,} instruction samples chosen by rank{short}, of {totals['samples']:,} that dedup kept. "
        f"The template is {template_of(recipe)}. {trained:,} of {totals['chosen_tokens']:,} tokens are trained on: "
        "every response of the assistant and the token that ends its turn. `labels` is -100 everywhere else."
    )


ROWS = """\
A row of `sequences-*.parquet` holds `input_ids`, `labels`, `cu_seqlens` (where each sample begins, for attention that stays
inside a sample) and `segments` (the sample of each segment). A row of `messages-*.parquet` is a sample, not packed, with its
rank and score."""


def sft_card(con: duckdb.DuckDBPyConnection, recipe: SftRecipe, edition: Edition) -> str:
    """The card's Markdown, from the views alone."""
    (totals,), (trained,) = rows_of(con, TOTALS), rows_of(con, TRAINED)
    (rows,) = rows_of(con, "FROM totals")
    tags = ("long-context", "instruction-tuning")
    configs = {"default": "sequences-*.parquet", "messages": "messages-*.parquet"}
    choice, compared = findings.choice(rows_of(con, QUOTAS), rows_of(con, NOT_CHOSEN)), answer(con, COMPARED)
    parts = [
        f"{front_matter(recipe.mix, licenses(con), rows['sequences'], tags, configs)}\n# {recipe.mix}, version {edition.version}",
        contents(recipe, totals, trained["trained_tokens"]),
        f"{size(con)}. {ROWS}",
        READING.format(folder=json.dumps(str(edition.folder))),
        f"{notes(edition)}## Choice",
        markdown.sentence(method(recipe)),
        *map(markdown.sentence, choice),
        table(answer(con, BY_DOMAIN)),
        *(
            ["Medians of the chosen samples and of those with a score that were left:", table(compared)]
            if compared.rows
            else []
        ),
        "## Tokens in the set, by domain and length of the sample",
        table(lengths(con, "drawn_tokens"), has_sum=True),
        "## Quotas",
        table(answer(con, QUOTAS)),
        "## Deduplication and rejected records",
        table(answer(con, "SELECT * EXCLUDE (n_bytes) FROM sources")),
        rejected(con),
        "## Licenses of the samples in the set",
        "As the sources state them. The table `documents` of the catalog has the license of each sample.",
        table(answer(con, LICENSES)),
        "## Recipe",
        markdown.fence(json.dumps(recipe.identity(), indent=1), "json"),
    ]
    return "\n\n".join(parts) + "\n"
