"""Compute infogain and longattn of the pool's texts with the packaged model.

    .venv/bin/python benchmarks/scoring/others.py WORKER N_WORKERS     resumes; an hour of a core with AVX512-BF16
    .venv/bin/python benchmarks/scoring/others.py keep                 saves the values to results/

Earlier values of unchanged texts are read from results/pool_others.json. Writes data/scoring/others/NAME.json, the
parts of both scores.
"""

import argparse
import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from all_pairs import MODEL, POOL, text_hash

from scorers import infogain, longattn
from scorers.lm import ModelParams, load
from scorers.weights import Weights

OUT, KEPT = Path("data/scoring/others"), Path("benchmarks/results/pool_others.json")
PER_DOMAIN = 6  # texts of a kind
ORDER = ("intact", "concat", "same", "list", "repeat", "shuffled", "cut", "random")  # the most informative kinds first


def texts() -> list[dict]:
    rows = pq.read_table(POOL).to_pylist()
    number = {row["name"]: int(row["name"].split("-")[1]) for row in rows}
    rows = [row for row in rows if row["kind"] == "list" or number[row["name"]] < PER_DOMAIN]
    return sorted(rows, key=lambda row: (ORDER.index(row["kind"]), number[row["name"]], row["domain"]))


def path_of(name: str) -> Path:
    return OUT / f"{name}.json"


def keep() -> None:
    """Save the values to results/."""
    rows = {
        row["name"]: {"text_hash": text_hash(row["input_ids"]), **json.loads(path_of(row["name"]).read_text())}
        for row in texts()
        if path_of(row["name"]).exists()
    }
    KEPT.write_text("{\n" + ",\n".join(f'"{name}": {json.dumps(row)}' for name, row in rows.items()) + "\n}\n")
    print(len(rows), "texts")


def restore() -> None:
    """Write the saved values of unchanged texts to OUT."""
    hashes = {row["name"]: text_hash(row["input_ids"]) for row in texts()}
    for name, row in json.loads(KEPT.read_text()).items() if KEPT.exists() else ():
        if row.pop("text_hash") == hashes.get(name) and not path_of(name).exists():
            path_of(name).write_text(json.dumps(row))


def main(worker: int, n_workers: int) -> None:
    OUT.mkdir(parents=True, exist_ok=True)
    restore()
    lm = load(ModelParams(weights=Weights.of(MODEL), dtype="bfloat16"))
    for row in texts()[worker::n_workers]:
        path, ids = path_of(row["name"]), np.array(row["input_ids"])
        if path.exists():
            continue
        parts = infogain.score(lm, ids, infogain.InfoGainParams()).parts
        parts |= longattn.score(lm, ids, longattn.LongAttnParams()).parts
        temporary = path.with_suffix(".part")
        temporary.write_text(json.dumps(parts))
        temporary.replace(path)
        print(row["name"], parts["infogain"], parts["ds"], flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("worker", help="number of this worker, from 0; or keep")
    parser.add_argument("n_workers", type=int, nargs="?", default=1)
    args = parser.parse_args()
    keep() if args.worker == "keep" else main(int(args.worker), args.n_workers)
