"""The pool that the scorers are measured on: 32 real documents of 4,352 tokens, and junk made of the same domains.

    .venv/bin/python benchmarks/scoring/pool.py     writes data/scoring/pool.parquet

The documents are of 4,352 to 5,119 tokens, cut to 34 chunks of 128; eight of each of four domains, at most two of a
source, in the order of a keyed hash of their text. Junk is cut at tokens, from other documents of the same domain.
"""

import json
from collections import Counter
from hashlib import blake2b
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import zstandard
from tokenizers import Tokenizer

DOMAINS = ("arxiv", "book", "commoncrawl", "github")
CHUNK, CHUNKS = 128, 34
TOKENS = CHUNK * CHUNKS
LISTS = {  # lists and tables of 4,352 tokens and more, found by looking
    "book": "anarchism/html/biblio anarchism/html/alinks anarchism/html/arlinks",
    "commoncrawl": "doc/man_index AMDGPU/AMDGPUAsmGFX8 mod/directives sqlite3/keyword_index html/sql-keywords-appendix "
    "html/features-sql-standard java/index-all sqlite3/sitemap sqlite3/sqlanalyze",
    "github": "api/go1.17.txt lexers/_csound_builtins lexers/_vim_builtins lexers/_asy_builtins lexers/macaulay2 "
    "lexers/apdlexer syscall/zsysnum_openbsd_mips64 unix/zerrors_netbsd_386 arm64/sysRegEnc palette/palette "
    "x86asm/tables x86/avx_optabs",
}
OUT = Path("data/scoring/pool.parquet")


def key(text: str, use: str) -> str:
    return blake2b(f"{use}\0{text}".encode(), digest_size=16).hexdigest()


def candidates(domain: str, tokenizer: Tokenizer) -> list[dict]:
    """Documents of at least TOKENS tokens in keyed order: id, source, the first 2 * TOKENS ids, n_tokens."""
    rows = []
    with zstandard.open(f"data/corpus/{domain}.jsonl.zst", "rt") as stream:
        for line in stream:
            row = json.loads(line)
            if 9_000 < len(row["text"]) < 120_000:
                rows.append(row)
    rows.sort(key=lambda row: key(row["text"], "pool"))
    found = []
    for start in range(0, len(rows), 64):
        batch = rows[start : start + 64]
        for row, encoding in zip(
            batch, tokenizer.encode_batch_fast([r["text"] for r in batch], add_special_tokens=False), strict=True
        ):
            if len(encoding.ids) >= TOKENS:
                ids = np.array(encoding.ids, np.int32)
                found.append(
                    {"id": row["id"], "source": row["source"], "ids": ids, "n_tokens": len(ids), "domain": domain}
                )
    return found


def intact(found: list[dict], n: int = 8, most: int = 2) -> list[dict]:
    """Whole documents, at most `most` of a source."""
    seen: Counter[str] = Counter()
    chosen = []
    for document in found:
        if document["n_tokens"] < 5120 and seen[document["source"]] < most and len(chosen) < n:
            seen[document["source"]] += 1
            chosen.append(document)
    assert len(chosen) == n
    return chosen


def junk(chosen: list[dict], found: list[dict], rng: np.random.Generator) -> list[tuple[str, str, np.ndarray]]:
    """For each of the chosen documents of a domain one junk text of each kind: (kind, from, ids)."""
    used = {document["id"] for document in chosen}
    rest = [document for document in found if document["id"] not in used]
    sources = sorted({document["source"] for document in rest})
    piece = TOKENS // 4
    made = []
    for document in chosen:
        own = document["ids"][:TOKENS]
        four = rng.choice(len(sources), 4, replace=False)
        parts = [rng.choice([d for d in rest if d["source"] == sources[s]]) for s in four]
        made.append(("concat", parts, [middle(p["ids"], piece, rng) for p in parts]))
        many = [s for s in sources if sum(d["source"] == s for d in rest) >= 4]
        source = many[rng.integers(len(many))]
        same = list(rng.choice([d for d in rest if d["source"] == source], 4, replace=False))
        made.append(("same", same, [middle(p["ids"], piece, rng) for p in same]))
        cut = int(TOKENS * rng.uniform(0.3, 0.7))
        two = list(rng.choice([d for d in rest if d["source"] == source], 2, replace=False))
        made.append(("cut", two, [two[0]["ids"][:cut], two[1]["ids"][-(TOKENS - cut) :]]))
        at = int(rng.integers(0, TOKENS - 256))
        made.append(("repeat", [document], [own[at : at + 256]] * 17))
        made.append(("shuffled", [document], [own.reshape(CHUNKS, CHUNK)[rng.permutation(CHUNKS)].reshape(-1)]))
        made.append(("random", [document], [rng.integers(3, 49_152, TOKENS).astype(np.int32)]))
    return [(kind, " + ".join(d["id"] for d in parts), np.concatenate(ids)[:TOKENS]) for kind, parts, ids in made]


def lists(domain: str, tokenizer: Tokenizer) -> list[tuple[str, np.ndarray]]:
    """The middle TOKENS of each list of a domain."""
    names, found = LISTS.get(domain, "").split(), []
    with zstandard.open(f"data/corpus/{domain}.jsonl.zst", "rt") as stream:
        for line in stream:
            row = json.loads(line)
            if any(name in row["id"] for name in names):
                ids = tokenizer.encode(row["text"][:400_000], add_special_tokens=False).ids
                at = (len(ids) - TOKENS) // 2
                found.append((row["id"], np.array(ids[at : at + TOKENS], np.int32)))
    assert len(found) == len(names), (domain, [name for name, _ in found])
    return found


def middle(ids: np.ndarray, n: int, rng: np.random.Generator) -> np.ndarray:
    at = int(rng.integers(0, len(ids) - n + 1))
    return ids[at : at + n]


def main() -> None:
    tokenizer = Tokenizer.from_file("examples/tokenizer/tokenizer.json")
    tokenizer.encode_special_tokens = True
    rows = []
    for d, domain in enumerate(DOMAINS):
        found = candidates(domain, tokenizer)
        chosen = intact(found)
        for k, document in enumerate(chosen):
            rows.append(
                (f"{domain}-{k}", "intact", domain, document["source"], document["id"], document["ids"][:TOKENS])
            )
        for n, (kind, of, ids) in enumerate(junk(chosen, found, np.random.default_rng([2024, d]))):
            rows.append((f"{domain}-{n // 6}-{kind}", kind, domain, "", of, ids))
        for n, (of, ids) in enumerate(lists(domain, tokenizer)):
            assert len(ids) == TOKENS, of
            rows.append((f"{domain}-{n}-list", "list", domain, "", of, ids))
        print(domain, [(c["id"], c["n_tokens"]) for c in chosen])
    columns = ("name", "kind", "domain", "source", "of", "input_ids")
    table = pa.table(dict(zip(columns, zip(*rows, strict=True), strict=True)))
    OUT.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, OUT)
    print(table.num_rows, "texts,", OUT)


if __name__ == "__main__":
    main()
