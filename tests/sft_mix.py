"""A small set of instruction samples from the real texts in examples/, scored by the OPT model of 0.3 MB in tests/reference."""

import gzip
import json
from pathlib import Path

from pipelines.recipe import AnyRecipe, load
from tests.scored import MODEL, ROOT

RECIPE = """\
mix = "sft"

[encode]
tokenizer = "{model}/tokenizer.json"
eos_token = "</s>"

[samples]
template = "paper"

[influence]
segment_tokens = 64
short = {{ context_tokens = 64 }}

[influence.model]
weights = "{model}"

[choose]
top = {top}
short_sources = ["short"]
short_share = 0.25

[pack]
sequence_tokens = 2048

[[sources]]
name = "long"
domain = "long"
path = "long"
license_field = "license"

[[sources]]
name = "short"
domain = "short"
path = "short.jsonl"

[run]
workers = {workers}
"""


def paragraphs() -> list[str]:
    """Paragraphs of 200 to 500 characters of Wikipedia articles."""
    with gzip.open(ROOT / "examples" / "corpus" / "wikipedia.jsonl.gz", "rt") as lines:
        texts = [json.loads(line)["text"] for line in lines]
    split = [" ".join(p.split()) for text in texts for p in text.split("\n\n")]
    return list(dict.fromkeys(p for p in split if 200 <= len(p) <= 500))


def long_samples(n: int, first: int = 0) -> list[dict]:
    """Two paragraphs each, then a question whose answer is the beginning of the first; the fifth has one paragraph."""
    texts, records = paragraphs(), []
    for i in range(first, first + n):
        context = texts[2 * i : 2 * i + (1 if i % 5 == 4 else 2)]
        question = f"How does the paragraph begin that ends in {context[0][-24:]!r}?"
        turns = [{"role": "user", "content": "\n\n".join([*context, question])}]
        turns.append({"role": "assistant", "content": context[0][:60]})
        records.append({"id": f"long-{i}", "messages": turns, "license": "CC-BY-SA"})
    return records


def short_samples(n: int) -> list[dict]:
    return [
        {"prompt": f"Write down the word that follows: {p.split()[3]}", "completion": p.split()[3]}
        for p in paragraphs()[-n:]
    ]


def write(path: Path, records: list[dict]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(record) + "\n" for record in records))


def recipe(folder: Path, workers: int = 2, top: float = 0.5) -> Path:
    """Samples in two files, the second rejected in part, and the recipe's path."""
    write(folder / "long" / "a.jsonl", long_samples(8))
    write(folder / "long" / "b.jsonl", [*long_samples(4, 8), {"messages": [{"role": "user", "content": "No answer?"}]}])
    write(folder / "short.jsonl", short_samples(6))
    path = folder / "sft.toml"
    path.write_text(RECIPE.format(model=MODEL / "model_opt_trained", workers=workers, top=top))
    return path


def loaded(folder: Path, **settings: float) -> AnyRecipe:
    return load(recipe(folder, **settings))  # type: ignore[arg-type]
