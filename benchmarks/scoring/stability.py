"""chunk_gain from a few pairs against all pairs of the pool: ranks, error variance, and whether its error is honest.

Beside it LDS as its authors compute it, from as many pairs, against LDS from all pairs.

    .venv/bin/python benchmarks/scoring/stability.py     after pool.py and both of all_pairs.py; writes results/stability.md

Coefficients and residual variances come from the other documents alone (leave one document out). The design is drawn
again for each of N_SEEDS content hashes; uniform sampling draws as many pairs of the same kind at random.
"""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from scipy.stats import spearmanr
from strict import lds

from pipelines.documents import Documents
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
    lines += ["", *two_rounds(documents, fitted), "", *strict([d.name for d in documents])]
    OUT.write_text("# chunk_gain from a few pairs\n\n" + "\n".join(lines) + "\n")
    print("\n".join(lines))


def two_rounds(documents: list[Document], fitted: dict[tuple[str, str], Kind]) -> list[str]:
    """Coverage where the number of pairs follows from what the first round found, with 90 % intervals over documents."""
    lines = [
        "The far score where two rounds decide how many pairs a document gets; 90 % intervals over documents.",
        "",
        "| model tokens a document | cut at the top | pairs | inside 1 error (68 %) | inside 1.645 (90 %) |",
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
    """[seeds, documents] pairs of each document, and how many of its errors its score is off."""
    n_pairs, z = np.empty((N_SEEDS, len(documents)), int), np.empty((N_SEEDS, len(documents)))
    none = np.array([""] * len(documents), object)
    one = [round(np.mean(fitted[d.name, "far"].residual_variance) * MICRO**2) for d in documents]
    for seed in range(N_SEEDS):
        rows = [
            {"document_id": d.name, "content_hash": f"{d.name}{seed}", "domain": d.domain, "n_tokens": d.s * 128 + 1}
            for d in documents
        ]
        small = Documents.of(pa.Table.from_pylist(rows))
        first = first_round(small, none, Limits(10**9, 128, 64))
        score = [d.estimate("far", d.pairs("far", seed, 2), fitted[d.name, "far"])[0] for d in documents]
        micro = np.rint(np.array(score) * MICRO).astype(np.int64)
        gap = micro - cuts(small, micro, lambda _: share)
        limits = Limits(tokens_each * len(documents), 128, 64)
        n_pairs[seed] = second_round(small, first, gap, np.array(one), limits).n_pairs
        for k, d in enumerate(documents):
            value, error = d.estimate("far", d.pairs("far", seed, int(n_pairs[seed, k])), fitted[d.name, "far"])
            z[seed, k] = (value - d.truth["far"]) / error
    return n_pairs, z


def covered(z: np.ndarray, width: float) -> str:
    inside = (np.abs(z) < width).mean(axis=0)
    rng = np.random.default_rng(0)
    again = [rng.choice(inside, len(inside)).mean() for _ in range(1_000)]
    return f"{inside.mean():.0%} [{np.quantile(again, 0.05):.0%}, {np.quantile(again, 0.95):.0%}]"


def strict(names: list[str]) -> list[str]:
    """LDS from some of the pairs, times all / some, against LDS from all pairs."""
    names = [name for name in names if lds(name, -1)]
    truth = np.array([lds(name, -1).lds for name in names])
    lines = [
        f"LDS by its authors' formula and draw, {len(names)} documents, against LDS from all 561 pairs:",
        "",
        "| pairs | Spearman | sampled / all, median | coefficient of variation, median |",
        "|---:|---:|---:|---:|",
    ]
    for count in (*COUNTS, 250, 500):
        found = np.array([[lds(name, count, seed).lds for name in names] for seed in range(50)]) * 561 / count
        ratio, spread = found.mean(0) / truth, found.std(0) / found.mean(0)
        lines.append(f"| {count} | {ranks(found, truth)} | {np.median(ratio):.2f} | {np.median(spread):.0%} |")
    return lines


if __name__ == "__main__":
    main()
