"""chunk_gain from a few pairs against all pairs of the pool: ranks, error variance, and whether its error is honest.

    .venv/bin/python benchmarks/scoring/stability.py     after pool.py and all_pairs.py; writes results/stability.md

Coefficients and residual variances come from the other documents alone (leave one document out). The design is drawn
again for each of N_SEEDS content hashes; uniform sampling draws as many pairs of the same kind at random.
"""

import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from scipy.stats import spearmanr

from pipelines.budget import cuts, first_round, second_round
from pipelines.choose import MICRO
from scorers.calibration import Kind, evenness, fit
from scorers.chunk_gain import corrected
from scorers.overlap import bags, features
from scorers.pairs import FAR, first_pairs, some_pairs

PAIRS, POOL, OUT = (
    Path("data/scoring/anchored"),
    Path("data/scoring/pool.parquet"),
    Path("benchmarks/results/stability.md"),
)
COUNTS = (2, 4, 8, 16, 32, 64)
N_SEEDS = 200
KINDS = ("near", "far")


class Document:
    """All pairs of a text: places, gains and features of each kind, and gain[i, j]."""

    def __init__(self, name: str, ids: list[int]):
        lines = [json.loads(line) for line in (PAIRS / f"{name}.jsonl").read_text().splitlines()]
        alone = {line["context"]: line["alone"] for line in lines}
        s = len(alone)
        self.name, self.domain, self.s = name, name.rpartition("-")[0], s
        self.gain = np.full((s, s), np.nan)
        for line in lines:
            for i, after in zip(line["targets"], line["after"], strict=True):
                self.gain[i, line["context"]] = alone[i] - after
        held = bags(np.array(ids, np.int64)[: s * 128].reshape(s, 128))
        self.of = {}
        self.row = {}
        for kind, low, high in (("near", 1, FAR), ("far", FAR, s)):
            places = some_pairs(s, "", low, high, 1 << 30)
            self.of[kind] = (places, self.gain[places[:, 0], places[:, 1]], features(held, places))
            self.row[kind] = {tuple(pair): k for k, pair in enumerate(places.tolist())}
        self.truth = {kind: self.of[kind][1].mean() for kind in KINDS}

    def pairs(self, kind: str, seed: int, n_pairs: int) -> np.ndarray:
        """Rows of `of[kind]` that the first n pairs of a sequence take."""
        return np.array(
            [self.row[kind][p] for p in first_pairs(self.s, f"{self.name}{seed}", n_pairs) if p in self.row[kind]], int
        )

    def estimate(self, kind: str, rows: np.ndarray, fitted: Kind) -> tuple[float, float]:
        places, gain, said = self.of[kind]
        return corrected(gain[rows], said[rows], said, len(gain), fitted.variance(places[rows]), fitted)


def whole(minimum: int = 34) -> list[Document]:
    rows = {row["name"]: row["input_ids"] for row in pq.read_table(POOL).to_pylist()}
    done = sorted(path.stem for path in PAIRS.glob("*.jsonl") if len(path.read_text().splitlines()) == minimum)
    return [Document(name, rows[name]) for name in done]


def without(documents: list[Document], left_out: Document, kind: str) -> Kind:
    columns = tuple(zip(*(d.of[kind] for d in documents if d is not left_out), strict=True))
    found = fit(*columns)
    bounds = (1, FAR) if kind == "near" else (FAR, 1 << 30)
    return found.model_copy(update={"evenness": evenness(*columns, found, *bounds)})


def ranks(found: np.ndarray, truth: np.ndarray) -> str:
    """Spearman, mean over seeds, with a 90 % interval over resampled documents. found: [seeds, documents]."""
    each = [spearmanr(row, truth)[0] for row in found]
    rng = np.random.default_rng(0)
    resampled = []
    for _ in range(300):
        chosen = rng.integers(0, len(truth), len(truth))
        resampled.append(
            np.nanmean([spearmanr(row[chosen], truth[chosen])[0] for row in found[rng.integers(0, len(found), 8)]])
        )
    return f"{np.mean(each):.2f} [{np.quantile(resampled, 0.05):.2f}, {np.quantile(resampled, 0.95):.2f}]"


def main() -> None:
    documents = whole()
    fitted = {(d.name, kind): without(documents, d, kind) for d in documents for kind in KINDS}
    lines = [
        f"{len(documents)} documents, all pairs measured: {sum(len(d.of[k][1]) for d in documents for k in KINDS):,}.",
        "",
    ]
    lines += [
        "| kind | pairs in all | of the kind | Spearman plain | Spearman corrected | variance: stratified / uniform | corrected / uniform | corrected / stratified | inside 1 error (68 %) | inside 1.645 (90 %) |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    totals = {kind: np.zeros(3) for kind in KINDS}
    for kind in KINDS:
        truth = np.array([d.truth[kind] for d in documents])
        for count in COUNTS:
            plain, better, error = (np.full((N_SEEDS, len(documents)), np.nan) for _ in range(3))
            uniform = np.zeros(len(documents))
            for k, d in enumerate(documents):
                gain = d.of[kind][1]
                for seed in range(N_SEEDS):
                    rows = d.pairs(kind, seed, count)
                    plain[seed, k] = gain[rows].mean()
                    better[seed, k], error[seed, k] = d.estimate(kind, rows, fitted[d.name, kind])
                uniform[k] = gain.var(ddof=1) / len(rows) * (1 - len(rows) / len(gain))
            squares = np.array(
                [uniform.sum(), ((plain - truth) ** 2).mean(0).sum(), ((better - truth) ** 2).mean(0).sum()]
            )
            totals[kind] += squares / squares[0]
            z = np.abs(better - truth) / error
            lines.append(
                f"| {kind} | {count} | {len(rows)} | {ranks(plain, truth)} | {ranks(better, truth)} | {squares[1] / squares[0]:.2f} | "
                f"{squares[2] / squares[0]:.2f} | {squares[2] / squares[1]:.2f} | {(z < 1).mean():.0%} | {(z < 1.645).mean():.0%} |"
            )
    lines += [
        "",
        *(
            f"{kind}, mean over the six counts: corrected / uniform {t[2] / t[0]:.2f}, corrected / stratified {t[2] / t[1]:.2f}."
            for kind, t in totals.items()
        ),
    ]
    lines += ["", two_rounds(documents, fitted)]
    OUT.write_text("# chunk_gain from a few pairs\n\n" + "\n".join(lines) + "\n")
    print("\n".join(lines))


def two_rounds(documents: list[Document], fitted: dict[tuple[str, str], Kind]) -> str:
    """Coverage where the number of pairs follows from what the first round found."""
    inside, n_pairs = [], []
    names = [d.name for d in documents]
    s, tokens = np.array([d.s for d in documents]), np.array([d.s * 128 for d in documents])
    domain = np.array([d.domain for d in documents], object)
    none = np.array([""] * len(documents), object)
    for seed in range(N_SEEDS):
        hashes = [f"{name}{seed}" for name in names]
        first = first_round(none, s, tokens, hashes, 10**9, 128)
        score = [d.estimate("far", d.pairs("far", seed, 2), fitted[d.name, "far"])[0] for d in documents]
        micro = np.rint(np.array(score) * MICRO).astype(np.int64)
        gap = micro - cuts(micro, tokens, domain, hashes, lambda _: 0.5)
        variance = np.array(
            [round(np.mean(fitted[d.name, "far"].residual_variance) * MICRO**2) for d in documents], np.int64
        )
        budget = second_round(first, s, tokens, hashes, 3_000 * len(documents), 128, 64, gap, variance)
        for d, n in zip(documents, budget.n_pairs, strict=True):
            value, error = d.estimate("far", d.pairs("far", seed, int(n)), fitted[d.name, "far"])
            inside.append((abs(value - d.truth["far"]) < error, abs(value - d.truth["far"]) < 1.645 * error))
            n_pairs.append(int(n))
    one, wide = np.mean(inside, axis=0)
    return f"Two rounds, 3,000 model tokens a document, cut at the half of each domain: {min(n_pairs)} to {max(n_pairs)} pairs, far score inside 1 error {one:.0%}, inside 1.645 {wide:.0%}."


if __name__ == "__main__":
    main()
