"""The effect of the budget: junk among the top 30 % of a pool that is half junk, and the share of the good top kept.

    .venv/bin/python benchmarks/scoring/budget_buys.py N_PAIRS     after separation.py; writes results/budget_buys.md

The pool has the intact documents and as many junk texts, a third each of repeats, concatenations and lists, resampled
N_DRAWS times; all texts have the same length. The good top is the 30 % of the intact documents with the highest far
gain over all pairs. The full budget is N_PAIRS pairs for every text of the pool. A tenth and a third of it are spent by
the rules of a build, after the guard and the gate of a recipe's [screen].
"""

import argparse
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from all_pairs import OUT as ANCHORED
from all_pairs import lines_of
from calibration import measured as all_pairs_of
from junk import OUT as JUNK
from junk import POOL
from separation import background_of, cheap_scores

from pipelines.documents import Chunking, Documents
from pipelines.score.budget import Limits, cost, cuts, first_round, second_round
from pipelines.score.kept_pairs import Measured
from pipelines.shares import MICRO
from scorers.cheap.lists import MAX_LIST_SHARE
from scorers.cheap.repeats import MAX_REPEAT_SHARE
from scorers.chunk_gain import chunks_of, parts
from scorers.chunk_gain.calibration import Calibration
from scorers.chunk_gain.pairs import FAR, first_pairs

TO = Path("benchmarks/results/budget_buys.md")
TOP = 0.3
N_DRAWS = 200
CALIBRATION = Calibration.read(Path("examples/calibration/smollm2-135m-instruct-128.json"))


class Text:
    def __init__(self, row: dict, n_pairs: int, screened: dict, min_recurrence: float | None):
        self.name, self.kind, self.domain = row["name"], row["kind"], row["domain"]
        self.chunks = chunks_of(np.array(row["input_ids"], np.int64), 128)
        self.truth = -np.inf
        if self.kind == "intact":
            measured = {(p.target, p.context): p for p in all_pairs_of(ANCHORED / f"{self.name}.jsonl")}
            self.pairs = [measured[pair] for pair in first_pairs(34, self.name, n_pairs)]
            self.truth = float(np.mean([p.alone - p.after for p in measured.values() if p.target - p.context >= FAR]))
        else:
            self.pairs = Measured(JUNK).of(self.name)[:n_pairs]
        self.recurrence = screened["recurrence"] if screened["recurrence"] is not None else -1.0
        repeats, listed = screened["repeat_share"] or 0, screened["list_share"] or 0
        stitched = min_recurrence is not None and self.recurrence < min_recurrence
        self.refused = (
            "repeats"
            if repeats > MAX_REPEAT_SHARE
            else "list"
            if listed > MAX_LIST_SHARE
            else "stitched"
            if stitched
            else ""
        )
        self.scores: dict[int, float] = {}  # by number of pairs

    def score(self, n: int) -> float:
        if n not in self.scores:
            self.scores[n] = parts(self.pairs[:n], self.chunks, self.name, CALIBRATION).far
        return self.scores[n]


def budgeted(pool: list[Text], n_pairs: int, budget_share: float) -> np.ndarray:
    """Scores of the texts that the two rounds of a build give a pair, -inf for the others."""
    names = pa.chunked_array([pa.array([t.name for t in pool], pa.string())])
    documents = Documents(names, names, ("all",), np.zeros(len(pool), np.int64), np.full(len(pool), 34 * 128 + 1))
    full_budget = sum(cost(34, t.name, n_pairs, 128) for t in pool)
    limits = Limits(int(budget_share * full_budget), Chunking(128, marks=1), n_pairs)
    first = first_round(documents, np.array([t.refused for t in pool], object), limits)
    read = first.n_pairs > 0
    gap = np.zeros(len(pool), np.int64)
    gap[read] = [round(t.score(2) * MICRO) for t, is_read in zip(pool, read, strict=True) if is_read]
    gap[read] -= cuts(documents.take(read), gap[read], lambda _: 2 * TOP)
    variance = np.full(len(pool), round(np.mean(CALIBRATION.far.residual_variance) * MICRO**2), np.int64)
    final = second_round(documents, first, gap, variance, limits)
    return np.array([t.score(int(n)) if n else -np.inf for t, n in zip(pool, final.n_pairs, strict=True)])


def main(n_pairs: int) -> None:
    rows = pq.read_table(POOL).to_pylist()
    statistics = background_of(rows)
    screened = cheap_scores(rows, statistics)
    texts = []
    for row, cheap in zip(rows, screened, strict=True):
        if row["kind"] == "intact":
            is_complete = len(lines_of(ANCHORED / f"{row['name']}.jsonl")) == 34
        else:
            is_complete = len(Measured(JUNK).of(row["name"])) >= n_pairs
        if row["kind"] in ("intact", "repeat", "concat", "list") and is_complete:
            texts.append(Text(row, n_pairs, cheap, statistics.domains[row["domain"]].min_recurrence))
    intact = [t for t in texts if t.kind == "intact"]
    choices = {
        "random": lambda pool, rng: rng.random(len(pool)),
        "cheap only (recurrence)": lambda pool, _: np.array([t.recurrence for t in pool]),
        "cheap only, after guard and gate": lambda pool, _: np.array([-9 if t.refused else t.recurrence for t in pool]),
        "model only": lambda pool, _: np.array([t.score(n_pairs) for t in pool]),
        "guard + gate + a tenth": lambda pool, _: budgeted(pool, n_pairs, 0.1),
        "guard + gate + a third": lambda pool, _: budgeted(pool, n_pairs, 1 / 3),
        "guard + gate + all": lambda pool, _: budgeted(pool, n_pairs, 1.0),
    }
    shares: dict[str, list[tuple[float, float]]] = {choice: [] for choice in choices}
    for draw in range(N_DRAWS):
        rng = np.random.default_rng([7, draw])
        good = [intact[k] for k in rng.integers(0, len(intact), len(intact))]
        pool = list(good)
        for kind in ("repeat", "concat", "list"):
            junk_texts = [t for t in texts if t.kind == kind]
            pool += [junk_texts[k] for k in rng.integers(0, len(junk_texts), len(intact) // 3)]
        best = set(np.argsort([-t.truth for t in good])[: round(TOP * len(good))].tolist())
        for choice, score in choices.items():
            values = score(pool, rng) + 1e-9 * rng.random(len(pool))
            values = np.where(np.isfinite(values), values, -99 - rng.random(len(pool)))
            top = np.argsort(-values)[: round(TOP * len(pool))]
            shares[choice].append(
                (np.mean([pool[k].kind != "intact" for k in top]), len(best & set(top.tolist())) / len(best))
            )
    lines = [
        f"{len(intact)} intact documents and as many junk texts; the full budget is {n_pairs} pairs per text.",
        "",
        "| choice | junk among the top 30 % | share of the good top kept |",
        "|---|---:|---:|",
    ]
    for choice, values in shares.items():
        junk, kept = np.array(values).T
        cells = (f"{v.mean():.0%} [{np.quantile(v, 0.05):.0%}, {np.quantile(v, 0.95):.0%}]" for v in (junk, kept))
        lines.append(f"| {choice} | " + " | ".join(cells) + " |")
    refused = {reason: sum(t.refused == reason for t in intact) for reason in ("repeats", "list", "stitched")}
    counts = ", ".join(f"{reason} {n}" for reason, n in refused.items())
    lines += ["", f"Refused intact documents, of {len(intact)}: {counts}."]
    TO.write_text("# Effect of the budget\n\n" + "\n".join(lines) + "\n")
    print("\n".join(lines))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("n_pairs", type=int)
    main(parser.parse_args().n_pairs)
