"""Fit the calibration of the default model to all pairs of the pool.

.venv/bin/python benchmarks/scoring/calibration.py     after all_pairs.py; writes examples/calibration/...json
"""

import argparse
import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from all_pairs import OUT, POOL

from pipelines.calibrate import fitted
from scorers.chunk_gain import MeasuredPair
from scorers.weights import Weights

MODEL = Path("data/models/SmolLM2-135M-Instruct.Q4_1.gguf")
TO = Path("examples/calibration/smollm2-135m-instruct-128.json")


def measured(path: Path) -> list[MeasuredPair]:
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    alone = {line["context"]: line["alone"] for line in lines}
    return [
        MeasuredPair(target, line["context"], alone[target], after)
        for line in lines
        for target, after in zip(line["targets"], line["after"], strict=True)
    ]


def main() -> None:
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    texts = {row["name"]: row["input_ids"] for row in pq.read_table(POOL).to_pylist()}
    pool = [
        (measured(path), np.array(texts[path.stem], np.int64).reshape(-1, 128))
        for path in sorted(OUT.glob("*.jsonl"))
        if len(path.read_text().splitlines()) == 34
    ]
    calibration = fitted(pool, MODEL.name, Weights.of(MODEL).hash)
    TO.write_text(calibration.text())
    print(calibration.text())


if __name__ == "__main__":
    main()
