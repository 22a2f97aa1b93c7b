"""Make the pool for the scoring benchmarks: 32 real documents of 4,352 tokens, and junk made from the same domains.

    .venv/bin/python benchmarks/scoring/pool.py     writes data/scoring/pool.parquet

The documents have 4,352 to 5,119 tokens and are cut to 34 chunks of 128: eight from each of four domains, at most two
per source, in the order of a keyed hash of their text. Junk is made of token ranges of other documents of the domain.
"""

import argparse
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
LISTS = {  # lists and tables of 4,352 tokens and more, selected by hand
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
    """Documents of at least TOKENS tokens in keyed order: id, source, ids, n_tokens, domain."""
    rows = []
    with zstandard.open(f"data/corpus/{domain}.jsonl.zst", "rt") as stream:
        for line in stream:
            row = json.loads(line)
            if 9_000 < len(row["text"]) < 120_000:
                rows.append(row)
    rows.sort(key=lambda row: key(row["text"], "pool"))
    documents = []
    for start in range(0, len(rows), 64):
        batch = rows[start : start + 64]
        for row, encoding in zip(
            batch, tokenizer.encode_batch_fast([r["text"] for r in batch], add_special_tokens=False), strict=True
        ):
            if len(encoding.ids) >= TOKENS:
                ids = np.array(encoding.ids, np.int32)
                documents.append(
                    {"id": row["id"], "source": row["source"], "ids": ids, "n_tokens": len(ids), "domain": domain}
                )
    return documents


def intact(documents: list[dict], n: int = 8, max_per_source: int = 2) -> list[dict]:
    """The first n documents of suitable length, at most `max_per_source` of a source."""
    n_chosen: Counter[str] = Counter()
    chosen = []
    for document in documents:
        if document["n_tokens"] < 5120 and n_chosen[document["source"]] < max_per_source and len(chosen) < n:
            n_chosen[document["source"]] += 1
            chosen.append(document)
    assert len(chosen) == n
    return chosen


def junk(chosen: list[dict], documents: list[dict], rng: np.random.Generator) -> list[tuple[str, str, np.ndarray]]:
    """One junk text of each kind for each of the chosen documents of a domain: (kind, ids of its documents, tokens)."""
    used = {document["id"] for document in chosen}
    rest = [document for document in documents if document["id"] not in used]
    sources = sorted({document["source"] for document in rest})
    piece = TOKENS // 4
    texts = []
    for document in chosen:
        ids = document["ids"][:TOKENS]
        four = rng.choice(len(sources), 4, replace=False)
        parts = [rng.choice([d for d in rest if d["source"] == sources[s]]) for s in four]
        texts.append(("concat", parts, [middle(p["ids"], piece, rng) for p in parts]))
        large_sources = [s for s in sources if sum(d["source"] == s for d in rest) >= 4]
        source = large_sources[rng.integers(len(large_sources))]
        same = list(rng.choice([d for d in rest if d["source"] == source], 4, replace=False))
        texts.append(("same", same, [middle(p["ids"], piece, rng) for p in same]))
        cut = int(TOKENS * rng.uniform(0.3, 0.7))
        two = list(rng.choice([d for d in rest if d["source"] == source], 2, replace=False))
        texts.append(("cut", two, [two[0]["ids"][:cut], two[1]["ids"][-(TOKENS - cut) :]]))
        at = int(rng.integers(0, TOKENS - 256))
        texts.append(("repeat", [document], [ids[at : at + 256]] * 17))
        texts.append(("shuffled", [document], [ids.reshape(CHUNKS, CHUNK)[rng.permutation(CHUNKS)].reshape(-1)]))
        texts.append(("random", [document], [rng.integers(3, 49_152, TOKENS).astype(np.int32)]))
    return [(kind, " + ".join(d["id"] for d in parts), np.concatenate(ids)[:TOKENS]) for kind, parts, ids in texts]


def lists(domain: str, tokenizer: Tokenizer) -> list[tuple[str, np.ndarray]]:
    """The middle TOKENS of each list of a domain."""
    names, excerpts = LISTS.get(domain, "").split(), []
    with zstandard.open(f"data/corpus/{domain}.jsonl.zst", "rt") as stream:
        for line in stream:
            row = json.loads(line)
            if any(name in row["id"] for name in names):
                ids = tokenizer.encode(row["text"][:400_000], add_special_tokens=False).ids
                at = (len(ids) - TOKENS) // 2
                excerpts.append((row["id"], np.array(ids[at : at + TOKENS], np.int32)))
    assert len(excerpts) == len(names), (domain, [name for name, _ in excerpts])
    return excerpts


def middle(ids: np.ndarray, n: int, rng: np.random.Generator) -> np.ndarray:
    at = int(rng.integers(0, len(ids) - n + 1))
    return ids[at : at + n]


def main() -> None:
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    tokenizer = Tokenizer.from_file("examples/tokenizer/tokenizer.json")
    tokenizer.encode_special_tokens = True
    rows = []
    for d, domain in enumerate(DOMAINS):
        documents = candidates(domain, tokenizer)
        chosen = intact(documents)
        for k, document in enumerate(chosen):
            rows.append(
                (f"{domain}-{k}", "intact", domain, document["source"], document["id"], document["ids"][:TOKENS])
            )
        for n, (kind, made_of, ids) in enumerate(junk(chosen, documents, np.random.default_rng([2024, d]))):
            rows.append((f"{domain}-{n // 6}-{kind}", kind, domain, "", made_of, ids))
        for n, (name, ids) in enumerate(lists(domain, tokenizer)):
            assert len(ids) == TOKENS, name
            rows.append((f"{domain}-{n}-list", "list", domain, "", name, ids))
        print(domain, [(c["id"], c["n_tokens"]) for c in chosen])
    columns = ("name", "kind", "domain", "source", "of", "input_ids")
    table = pa.table(dict(zip(columns, zip(*rows, strict=True), strict=True)))
    OUT.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, OUT)
    print(table.num_rows, "texts,", OUT)


if __name__ == "__main__":
    main()
