"""The choice of the default chunk size and threshold: chunks of 64, 128 and 256 tokens at about equal model tokens.

    .venv/bin/python benchmarks/scoring/chunk_size.py     resumes; ten minutes of a core; writes results/chunk_size.md

Texts: three per domain and kind; intact, stitched from four sources, stitched from one source. Gains are uncorrected,
since only chunks of 128 have a calibration. Reliability is the Spearman correlation, over intact texts, of the scores
from the even and from the odd far pairs. Thresholds are evaluated on all pairs of the pool, as LDS reads them.
"""

import argparse
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from all_pairs import MODEL, POOL
from scipy.stats import spearmanr
from separation import auc, shown
from strict import perplexities

from pipelines.score.budget import cost
from pipelines.score.kept_pairs import Measured
from scorers.chunk_gain import chunks_of, measure
from scorers.chunk_gain.pairs import FAR
from scorers.chunks import Chunks
from scorers.lm import ModelParams, load
from scorers.weights import Weights

TO = Path("benchmarks/results/chunk_size.md")
PAIRS = {64: 32, 128: 16, 256: 8}  # tokens of a chunk -> pairs
KINDS = ("intact", "concat", "same")
PER_DOMAIN = 3
THRESHOLDS = (0.0, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3)


def texts() -> list[dict]:
    rows = [row for row in pq.read_table(POOL).to_pylist() if row["kind"] in KINDS]
    return [row for row in rows if int(row["name"].split("-")[1]) < PER_DOMAIN]


def far_gains(row: dict, size: int) -> list[float]:
    pairs = Measured(Path(f"data/scoring/chunks-{size}")).of(row["name"])
    return [p.alone - p.after for p in pairs if p.target - p.context >= FAR]


def measure_all(rows: list[dict]) -> None:
    lm = load(ModelParams(weights=Weights.of(MODEL), dtype="bfloat16"))
    for size, n_pairs in PAIRS.items():
        measured = Measured(Path(f"data/scoring/chunks-{size}"))
        for row in rows:
            chunks = Chunks(lm, chunks_of(np.array(row["input_ids"], np.int64), size), lm.anchor)
            for block in measure(chunks, row["name"], n_pairs, measured.of(row["name"])):
                measured.add(row["name"], block)


def size_row(rows: list[dict], size: int) -> str:
    n_pairs = PAIRS[size]
    price = np.mean([cost(len(row["input_ids"]) // size, row["name"], n_pairs, size) for row in rows])
    gains = {kind: [far_gains(row, size) for row in rows if row["kind"] == kind] for kind in KINDS}
    mean = {kind: np.array([np.mean(g) for g in of_kind]) for kind, of_kind in gains.items()}
    halves = [[np.mean(g[k::2]) for g in gains["intact"]] for k in (0, 1)]
    cells = [shown(mean["intact"], mean[kind]) for kind in KINDS[1:]]
    return f"| {size} | {n_pairs} | {price:,.0f} | {' | '.join(cells)} | {spearmanr(*halves)[0]:.2f} |"


def strengths(name: str) -> np.ndarray:
    """The strength of all pairs of a text, row by row."""
    single, after = perplexities(name)
    return (1 - after / single[:, None])[np.tril_indices(len(single), -1)]


def threshold_row(threshold: float) -> str:
    rows = [row for row in pq.read_table(POOL).to_pylist() if perplexities(row["name"])]
    by_kind = {kind: [strengths(row["name"]) for row in rows if row["kind"] == kind] for kind in KINDS[:2]}
    share = [np.mean(s > threshold) for s in by_kind["intact"]]
    means = [np.array([np.mean(np.where(s > threshold, s, 0)) for s in of_kind]) for of_kind in by_kind.values()]
    return f"| {threshold:.2f} | {np.median(share):.0%} ({min(share):.0%} to {max(share):.0%}) | {auc(*means):.2f} |"


def main() -> None:
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    rows = texts()
    measure_all(rows)
    lines = [
        f"{len(rows) // 3} texts of each kind.",
        "",
        "| tokens of a chunk | pairs | model tokens a text | AUC, 4 sources | AUC, 1 source | reliability |",
        "|---:|---:|---:|---:|---:|---:|",
        *(size_row(rows, size) for size in PAIRS),
        "",
        "| threshold | pairs over it, median of intact texts | AUC of the thresholded mean, 4 sources |",
        "|---:|---:|---:|",
        *(threshold_row(threshold) for threshold in THRESHOLDS),
    ]
    TO.write_text("# Chunk size and threshold\n\n" + "\n".join(lines) + "\n")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
