"""The first pairs of every junk text and list of the pool, and of the intact ones, by the packaged model.

    .venv/bin/python benchmarks/scoring/junk.py N_PAIRS WORKER N_WORKERS     resumes, and extends what is there

Writes data/scoring/junk/NAME.jsonl as a build keeps what it measured.
"""

import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from pipelines.measured import Measured
from scorers.chunk_gain import chunks_of, measure
from scorers.chunks import Chunks
from scorers.lm import ModelParams, load
from scorers.weights import Weights

POOL, OUT, MODEL = Path("data/scoring/pool.parquet"), Path("data/scoring/junk"), Path("data/models/smollm2")
PER_DOMAIN = 6  # junk texts of a kind
ORDER = ("concat", "list", "same", "cut", "repeat", "shuffled", "random")  # what tells most first


def texts() -> list[dict]:
    rows = [row for row in pq.read_table(POOL).to_pylist() if row["kind"] in ORDER]
    number = {row["name"]: int(row["name"].split("-")[1]) for row in rows}
    rows = [row for row in rows if row["kind"] == "list" or number[row["name"]] < PER_DOMAIN]
    return sorted(rows, key=lambda row: (number[row["name"]], ORDER.index(row["kind"]), row["domain"]))


def main(n_pairs: int, worker: int, n_workers: int) -> None:
    lm = load(ModelParams(weights=Weights.of(MODEL), dtype="bfloat16"))
    measured = Measured(OUT)
    for row in texts()[worker::n_workers]:
        chunks = Chunks(lm, chunks_of(np.array(row["input_ids"], np.int64), 128), lm.anchor)
        for block in measure(chunks, row["name"], n_pairs, measured.of(row["name"])):
            measured.add(row["name"], block)
        print(row["name"], chunks.forwarded, flush=True)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
