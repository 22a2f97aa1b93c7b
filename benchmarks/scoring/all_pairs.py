"""Every pair of chunks of the pool's intact texts, by the packaged model: the truth that cheaper scores are held against.

    .venv/bin/python benchmarks/scoring/all_pairs.py WORKER N_WORKERS     resumes; about two hours of two cores

What was measured before is in results/pool_pairs.parquet, and is taken from there where the text is still the same;
`all_pairs.py keep` puts there what is new. Writes data/scoring/pairs/NAME.jsonl, a line for each context: the nll of every later chunk right after it.
"""

import json
import sys
from hashlib import blake2b
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from scorers.chunks import Chunks
from scorers.lm import ModelParams, load
from scorers.weights import Weights

KEPT = Path("benchmarks/results/pool_pairs.parquet")
POOL, OUT, MODEL = Path("data/scoring/pool.parquet"), Path("data/scoring/anchored"), Path("data/models/SmolLM2-135M-Instruct.Q4_1.gguf")


def text_hash(ids: list[int]) -> str:
    return blake2b(np.array(ids, "<i4").tobytes(), digest_size=16).hexdigest()


def lines_of(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def keep() -> None:
    """Put every text that is whole into the repository."""
    rows = []
    for row in pq.read_table(POOL).to_pylist():
        lines = lines_of(OUT / f"{row['name']}.jsonl")
        if len(lines) == len(row["input_ids"]) // 128:
            rows += [{"name": row["name"], "text_hash": text_hash(row["input_ids"]), **line} for line in lines]
    pq.write_table(
        pa.Table.from_pylist(rows),
        KEPT,
        compression="zstd",
        use_byte_stream_split=["alone"],
        use_dictionary=["name", "text_hash"],
    )
    print(len({row["name"] for row in rows}), "texts,", KEPT.stat().st_size, "bytes")


def restore(texts: list[dict]) -> None:
    """Take what the repository has of texts that are still the same."""
    hashes = {row["name"]: text_hash(row["input_ids"]) for row in texts}
    kept: dict[str, list[dict]] = {}
    for line in pq.read_table(KEPT).to_pylist() if KEPT.exists() else []:
        if hashes.get(line["name"]) == line.pop("text_hash"):
            kept.setdefault(line.pop("name"), []).append(line)
    for name, lines in kept.items():
        if len(lines_of(OUT / f"{name}.jsonl")) < len(lines):
            (OUT / f"{name}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))


def main(worker: int, n_workers: int) -> None:
    lm = load(ModelParams(weights=Weights.of(MODEL), dtype="bfloat16"))  # twice as fast where a CPU has it
    texts = [row for row in pq.read_table(POOL).to_pylist() if row["kind"] == "intact"]
    texts.sort(key=lambda row: (row["name"].rpartition("-")[2], row["domain"]))  # domain after domain, in turn
    OUT.mkdir(parents=True, exist_ok=True)
    restore(texts)
    for row in texts[worker::n_workers]:
        path = OUT / f"{row['name']}.jsonl"
        done = {line["context"] for line in lines_of(path)}
        s = len(row["input_ids"]) // 128
        chunks = Chunks(lm, np.array(row["input_ids"], np.int64).reshape(s, 128), lm.anchor)
        for context in range(s):
            if context in done:
                continue
            targets = list(range(context + 1, s))
            after = chunks.after([(i, context) for i in targets]).tolist() if targets else []
            alone = float(chunks.alone([context])[0])
            with open(path, "a") as stream:
                stream.write(
                    json.dumps({"context": context, "alone": alone, "targets": targets, "after": after}) + "\n"
                )
        print(row["name"], chunks.forwarded, flush=True)


if __name__ == "__main__":
    keep() if sys.argv[1] == "keep" else main(int(sys.argv[1]), int(sys.argv[2]))
