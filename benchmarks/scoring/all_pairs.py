"""Every pair of chunks of the pool's intact texts, by the packaged model: the truth that cheaper scores are held against.

    .venv/bin/python benchmarks/scoring/all_pairs.py WORKER N_WORKERS     resumes; about two hours of two cores

Writes data/scoring/pairs/NAME.jsonl, a line for each context: the nll of every later chunk right after it.
"""

import json
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from scorers.lm import Chunks, ModelParams, load
from scorers.weights import Weights

POOL, OUT, MODEL = Path("data/scoring/pool.parquet"), Path("data/scoring/anchored"), Path("data/models/smollm2")


def main(worker: int, n_workers: int) -> None:
    lm = load(ModelParams(weights=Weights.of(MODEL), dtype="bfloat16"))  # twice as fast where a CPU has it
    texts = [row for row in pq.read_table(POOL).to_pylist() if row["kind"] == "intact"]
    texts.sort(key=lambda row: (row["name"].rpartition("-")[2], row["domain"]))  # domain after domain, in turn
    OUT.mkdir(parents=True, exist_ok=True)
    for row in texts[worker::n_workers]:
        path = OUT / f"{row['name']}.jsonl"
        done = {json.loads(line)["context"] for line in path.read_text().splitlines()} if path.exists() else set()
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
    main(int(sys.argv[1]), int(sys.argv[2]))
