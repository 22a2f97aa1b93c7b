"""Measure the first pairs of every junk text and list of the pool with the packaged model.

    .venv/bin/python benchmarks/scoring/junk.py N_PAIRS WORKER N_WORKERS     resumes; a larger N_PAIRS adds pairs
    .venv/bin/python benchmarks/scoring/junk.py keep                         saves the values to results/

Earlier values of unchanged texts are read from results/pool_junk.parquet. Writes data/scoring/junk/NAME.jsonl in the
format of a build's measured pairs.
"""

import argparse
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from all_pairs import MODEL, POOL, text_hash

from pipelines.score.kept_pairs import Measured
from scorers.chunk_gain import MeasuredPair, chunks_of, measure
from scorers.chunks import Chunks
from scorers.lm import ModelParams, load
from scorers.weights import Weights

OUT = Path("data/scoring/junk")
PER_DOMAIN = 8  # junk texts of a kind
KEPT = Path("benchmarks/results/pool_junk.parquet")
ORDER = ("concat", "list", "same", "cut", "repeat", "shuffled", "random")  # the most informative kinds first


def texts() -> list[dict]:
    rows = [row for row in pq.read_table(POOL).to_pylist() if row["kind"] in ORDER]
    number = {row["name"]: int(row["name"].split("-")[1]) for row in rows}
    rows = [row for row in rows if row["kind"] == "list" or number[row["name"]] < PER_DOMAIN]
    return sorted(rows, key=lambda row: (number[row["name"]], ORDER.index(row["kind"]), row["domain"]))


def keep() -> None:
    """Save the measured pairs to results/."""
    rows = [
        {"name": row["name"], "text_hash": text_hash(row["input_ids"]), **pair._asdict()}
        for row in texts()
        for pair in Measured(OUT).of(row["name"])
    ]
    pq.write_table(
        pa.Table.from_pylist(rows),
        KEPT,
        compression="zstd",
        use_dictionary=["name", "text_hash"],
        use_byte_stream_split=["alone", "after"],
    )
    print(len({row["name"] for row in rows}), "texts,", len(rows), "pairs,", KEPT.stat().st_size, "bytes")


def restore() -> None:
    """Write the saved pairs of unchanged texts to OUT."""
    hashes = {row["name"]: text_hash(row["input_ids"]) for row in texts()}
    saved: dict[str, list[MeasuredPair]] = {}
    for row in pq.read_table(KEPT).to_pylist() if KEPT.exists() else []:
        if hashes.get(row["name"]) == row["text_hash"]:
            saved.setdefault(row["name"], []).append(
                MeasuredPair(row["target"], row["context"], row["alone"], row["after"])
            )
    for name, pairs in saved.items():
        Measured(OUT).add(name, pairs[len(Measured(OUT).of(name)) :])


def main(n_pairs: int, worker: int, n_workers: int) -> None:
    lm = load(ModelParams(weights=Weights.of(MODEL), dtype="bfloat16"))
    measured = Measured(OUT)
    if worker == 0:
        restore()
    for row in texts()[worker::n_workers]:
        chunks = Chunks(lm, chunks_of(np.array(row["input_ids"], np.int64), 128), lm.anchor)
        for block in measure(chunks, row["name"], n_pairs, measured.of(row["name"])):
            measured.add(row["name"], block)
        print(row["name"], chunks.forwarded, flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("n_pairs", help="pairs per text; or keep")
    parser.add_argument("worker", type=int, nargs="?", default=0, help="number of this worker, from 0")
    parser.add_argument("n_workers", type=int, nargs="?", default=1)
    args = parser.parse_args()
    keep() if args.n_pairs == "keep" else main(int(args.n_pairs), args.worker, args.n_workers)
