"""chunk_gain from few pairs compared with all pairs of the pool: ranks, error variance, coverage of the standard error.

LDS as its authors compute it, from as many pairs, is compared with LDS from all pairs in the same way.

    .venv/bin/python benchmarks/scoring/stability.py     after pool.py and both variants of all_pairs.py

Writes results/stability.md. Coefficients and residual variances are fitted to the other documents (leave one out). The
sequence of pairs is drawn for each of N_SEEDS content hashes. Uniform sampling draws as many pairs of the same kind at
random.
"""

import argparse
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from scipy.stats import spearmanr
from strict import lds

from pipelines.documents import Chunking, Documents
from pipelines.score.budget import Limits, cuts, first_round, second_round
from pipelines.shares import MICRO
from scorers.chunk_gain import corrected
from scorers.chunk_gain.calibration import Kind, evenness, fit
from scorers.chunk_gain.overlap import bags, features
from scorers.chunk_gain.pairs import FAR, first_pairs, some_pairs

PAIRS, POOL, OUT = (
    Path("data/scoring/anchored"),
    Path("data/scoring/pool.parquet"),
    Path("benchmarks/results/stability.md"),
)
COUNTS = (2, 4, 8, 16, 32, 64)
N_SEEDS = 200
KINDS = ("near", "far")


class Document:
    """All pairs of a text: pairs, gains and features of each kind, and gain[i, j]."""

    def __init__(self, name: str, ids: list[int]):
        lines = [json.loads(line) for line in (PAIRS / f"{name}.jsonl").read_text().splitlines()]
        alone = {line["context"]: line["alone"] for line in lines}
        s = len(alone)
        self.name, self.domain, self.s = name, name.rpartition("-")[0], s
        self.gain = np.full((s, s), np.nan)
        for line in lines:
            for i, after in zip(line["targets"], line["after"], strict=True):
                self.gain[i, line["context"]] = alone[i] - after
        chunk_bags = bags(np.array(ids, np.int64)[: s * 128].reshape(s, 128))
        self.by_kind = {}
        self.row = {}
        for kind, low, high in (("near", 1, FAR), ("far", FAR, s)):
            places = some_pairs(s, "", low, high, 1 << 30)
            self.by_kind[kind] = (places, self.gain[places[:, 0], places[:, 1]], features(chunk_bags, places))
            self.row[kind] = {tuple(pair): k for k, pair in enumerate(places.tolist())}
        self.truth = {kind: self.by_kind[kind][1].mean() for kind in KINDS}

    def pairs(self, kind: str, seed: int, n_pairs: int) -> np.ndarray:
        """The rows of `by_kind[kind]` among the first n pairs of a sequence."""
        return np.array(
            [self.row[kind][p] for p in first_pairs(self.s, f"{self.name}{seed}", n_pairs) if p in self.row[kind]], int
        )

    def estimate(self, kind: str, rows: np.ndarray, fitted: Kind) -> tuple[float, float]:
        places, gain, x = self.by_kind[kind]
        return corrected(gain[rows], x[rows], x, len(gain), fitted.variance(places[rows]), fitted)


def complete(n_lines: int = 34) -> list[Document]:
    """The documents with all pairs measured."""
    rows = {row["name"]: row["input_ids"] for row in pq.read_table(POOL).to_pylist()}
    names = sorted(path.stem for path in PAIRS.glob("*.jsonl") if len(path.read_text().splitlines()) == n_lines)
    return [Document(name, rows[name]) for name in names]


def fitted_without(documents: list[Document], left_out: Document, kind: str) -> Kind:
    columns = tuple(zip(*(d.by_kind[kind] for d in documents if d is not left_out), strict=True))
    fitted = fit(*columns)
    bounds = (1, FAR) if kind == "near" else (FAR, 1 << 30)
    return fitted.model_copy(update={"evenness": evenness(*columns, fitted, *bounds)})


def ranks(scores: np.ndarray, truth: np.ndarray) -> str:
    """Spearman, mean over seeds, with a 90 % interval over resampled documents. scores: [seeds, documents]."""
    correlations = [spearmanr(row, truth)[0] for row in scores]
    rng = np.random.default_rng(0)
    resampled = []
    for _ in range(300):
        chosen = rng.integers(0, len(truth), len(truth))
        resampled.append(
            np.nanmean([spearmanr(row[chosen], truth[chosen])[0] for row in scores[rng.integers(0, len(scores), 8)]])
        )
    return f"{np.mean(correlations):.2f} [{np.quantile(resampled, 0.05):.2f}, {np.quantile(resampled, 0.95):.2f}]"


def main() -> None:
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    documents = complete()
    fitted = {(d.name, kind): fitted_without(documents, d, kind) for d in documents for kind in KINDS}
    n_pairs = sum(len(d.by_kind[k][1]) for d in documents for k in KINDS)
    lines = [f"{len(documents)} documents, all {n_pairs:,} pairs measured.", ""]
    lines += [
        "| kind | pairs | of the kind | Spearman plain | Spearman corrected | variance: stratified / uniform | corrected / uniform | corrected / stratified | inside 1 error (68 %) | inside 1.645 (90 %) |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    totals = {kind: np.zeros(3) for kind in KINDS}
    for kind in KINDS:
        truth = np.array([d.truth[kind] for d in documents])
        for count in COUNTS:
            plain, estimate, error = (np.full((N_SEEDS, len(documents)), np.nan) for _ in range(3))
            uniform = np.zeros(len(documents))
            for k, d in enumerate(documents):
                gain = d.by_kind[kind][1]
                for seed in range(N_SEEDS):
                    rows = d.pairs(kind, seed, count)
                    plain[seed, k] = gain[rows].mean()
                    estimate[seed, k], error[seed, k] = d.estimate(kind, rows, fitted[d.name, kind])
                uniform[k] = gain.var(ddof=1) / len(rows) * (1 - len(rows) / len(gain))
            squares = np.array(
                [uniform.sum(), ((plain - truth) ** 2).mean(0).sum(), ((estimate - truth) ** 2).mean(0).sum()]
            )
            totals[kind] += squares / squares[0]
            z = np.abs(estimate - truth) / error
            lines.append(
                f"| {kind} | {count} | {len(rows)} | {ranks(plain, truth)} | {ranks(estimate, truth)} | {squares[1] / squares[0]:.2f} | "
                f"{squares[2] / squares[0]:.2f} | {squares[2] / squares[1]:.2f} | {(z < 1).mean():.0%} | {(z < 1.645).mean():.0%} |"
            )
    lines += [
        "",
        *(
            f"{kind}, mean over the six counts: corrected / uniform {t[2] / t[0]:.2f}, corrected / stratified {t[2] / t[1]:.2f}."
            for kind, t in totals.items()
        ),
    ]
    lines += ["", *two_rounds(documents, fitted), "", *strict([d.name for d in documents])]
    OUT.write_text("# chunk_gain from few pairs\n\n" + "\n".join(lines) + "\n")
    print("\n".join(lines))


def two_rounds(documents: list[Document], fitted: dict[tuple[str, str], Kind]) -> list[str]:
    """Coverage where the first round decides the number of pairs, with 90 % intervals over documents."""
    lines = [
        "The far score where two rounds decide the number of pairs per document; 90 % intervals over documents.",
        "",
        "| model tokens per document | cut at the top | pairs | inside 1 error (68 %) | inside 1.645 (90 %) |",
        "|---:|---:|---:|---:|---:|",
    ]
    for tokens in (1_500, 3_000, 6_000):
        for share in (0.3, 0.5):
            n_pairs, z = budgeted(documents, fitted, tokens, share)
            cells = (covered(z, width) for width in (1, 1.645))
            lines.append(f"| {tokens:,} | {share:.0%} | {n_pairs.min()} to {n_pairs.max()} | {' | '.join(cells)} |")
    return lines


def budgeted(
    documents: list[Document], fitted: dict[tuple[str, str], Kind], tokens_each: int, share: float
) -> tuple[np.ndarray, np.ndarray]:
    """[seeds, documents] pairs of each document, and the deviation of its score in standard errors."""
    n_pairs, z = np.empty((N_SEEDS, len(documents)), int), np.empty((N_SEEDS, len(documents)))
    not_refused = np.array([""] * len(documents), object)
    variance = [round(np.mean(fitted[d.name, "far"].residual_variance) * MICRO**2) for d in documents]
    for seed in range(N_SEEDS):
        rows = [
            {"document_id": d.name, "content_hash": f"{d.name}{seed}", "domain": d.domain, "n_tokens": d.s * 128 + 1}
            for d in documents
        ]
        columns = Documents.of(pa.Table.from_pylist(rows))
        first = first_round(columns, not_refused, Limits(10**9, Chunking(128, marks=1), 64))
        score = [d.estimate("far", d.pairs("far", seed, 2), fitted[d.name, "far"])[0] for d in documents]
        micro = np.rint(np.array(score) * MICRO).astype(np.int64)
        gap = micro - cuts(columns, micro, lambda _: share)
        limits = Limits(tokens_each * len(documents), Chunking(128, marks=1), 64)
        n_pairs[seed] = second_round(columns, first, gap, np.array(variance), limits).n_pairs
        for k, d in enumerate(documents):
            value, error = d.estimate("far", d.pairs("far", seed, int(n_pairs[seed, k])), fitted[d.name, "far"])
            z[seed, k] = (value - d.truth["far"]) / error
    return n_pairs, z


def covered(z: np.ndarray, width: float) -> str:
    inside = (np.abs(z) < width).mean(axis=0)
    rng = np.random.default_rng(0)
    resampled = [rng.choice(inside, len(inside)).mean() for _ in range(1_000)]
    return f"{inside.mean():.0%} [{np.quantile(resampled, 0.05):.0%}, {np.quantile(resampled, 0.95):.0%}]"


def strict(names: list[str]) -> list[str]:
    """LDS from n pairs, scaled by all / n, compared with LDS from all pairs."""
    names = [name for name in names if lds(name, -1)]
    truth = np.array([lds(name, -1).lds for name in names])
    lines = [
        f"LDS by its authors' formula and sampling, {len(names)} documents, compared with LDS from all 561 pairs:",
        "",
        "| pairs | Spearman | sampled / all, median | coefficient of variation, median |",
        "|---:|---:|---:|---:|",
    ]
    for count in (*COUNTS, 250, 500):
        scores = np.array([[lds(name, count, seed).lds for name in names] for seed in range(50)]) * 561 / count
        ratio, variation = scores.mean(0) / truth, scores.std(0) / scores.mean(0)
        lines.append(f"| {count} | {ranks(scores, truth)} | {np.median(ratio):.2f} | {np.median(variation):.0%} |")
    return lines


if __name__ == "__main__":
    main()
