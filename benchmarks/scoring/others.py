"""infogain and longattn of the pool's texts, by the packaged model.

    .venv/bin/python benchmarks/scoring/others.py WORKER N_WORKERS     resumes; an hour of a core that has AVX512-BF16

What was measured before is in results/pool_others.json, and is taken from there where the text is still the same;
`others.py keep` puts there what is new. Writes data/scoring/others/NAME.json: the parts of both scores.
"""

import json
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from all_pairs import MODEL, POOL, text_hash

from scorers import infogain, longattn
from scorers.lm import ModelParams, load
from scorers.weights import Weights

OUT, KEPT = Path("data/scoring/others"), Path("benchmarks/results/pool_others.json")
PER_DOMAIN = 6  # texts of a kind
ORDER = ("intact", "concat", "same", "list", "repeat", "shuffled", "cut", "random")  # what tells most first


def texts() -> list[dict]:
    rows = pq.read_table(POOL).to_pylist()
    number = {row["name"]: int(row["name"].split("-")[1]) for row in rows}
    rows = [row for row in rows if row["kind"] == "list" or number[row["name"]] < PER_DOMAIN]
    return sorted(rows, key=lambda row: (ORDER.index(row["kind"]), number[row["name"]], row["domain"]))


def path_of(name: str) -> Path:
    return OUT / f"{name}.json"


def keep() -> None:
    """Put what was measured into the repository."""
    rows = {
        row["name"]: {"text_hash": text_hash(row["input_ids"]), **json.loads(path_of(row["name"]).read_text())}
        for row in texts()
        if path_of(row["name"]).exists()
    }
    KEPT.write_text("{\n" + ",\n".join(f'"{name}": {json.dumps(row)}' for name, row in rows.items()) + "\n}\n")
    print(len(rows), "texts")


def restore() -> None:
    """Take what the repository has of texts that are still the same."""
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
        found = infogain.score(lm, ids, infogain.InfoGainParams()).parts
        found |= longattn.score(lm, ids, longattn.LongAttnParams()).parts
        part = path.with_suffix(".part")
        part.write_text(json.dumps(found))
        part.replace(path)
        print(row["name"], found["infogain"], found["ds"], flush=True)


if __name__ == "__main__":
    keep() if sys.argv[1] == "keep" else main(*map(int, sys.argv[1:]))
