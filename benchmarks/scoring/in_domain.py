"""How much a ranking inside the domains of a built mix is worth, by the errors of its scores.

    .venv/bin/python benchmarks/scoring/in_domain.py ROOT [--mix 128k]    writes benchmarks/results/in_domain.md

Q / df is the scatter of a domain's scores in units of their errors; 1 is pure error. tau is the scatter of the truth that
Q leaves (DerSimonian and Laird 1986). Truths and scores are then drawn N_DRAWS times from normal distributions with this
tau and the stated errors: the share of the best 30 % of a domain's tokens that its top share keeps, and keeps at random.
"""

import argparse
from pathlib import Path

import duckdb
import numpy as np

TO = Path("benchmarks/results/in_domain.md")
GOOD, SHARES = 0.3, (0.5, 0.7, 0.8)
N_DRAWS = 400
SCORES = "SELECT domain, n_tokens, score, error, recurrence FROM scores WHERE score IS NOT NULL ORDER BY document_id"


def top(value: np.ndarray, n_tokens: np.ndarray, share: float) -> np.ndarray:
    """[n] bool: the highest values with this share of the tokens, as pipelines.plan.selection.top."""
    order = np.argsort(-value, kind="stable")
    chosen = np.zeros(len(value), bool)
    chosen[order[np.cumsum(n_tokens[order]) - n_tokens[order] < share * n_tokens.sum()]] = True
    return chosen


def scatter(score: np.ndarray, error: np.ndarray) -> tuple[float, float, float]:
    """The mean of the scores, Q / df and tau."""
    weight = 1 / error**2
    mean = float(np.average(score, weights=weight))
    q, df = float(np.sum(weight * (score - mean) ** 2)), len(score) - 1
    tau2 = max(0.0, (q - df) / (weight.sum() - np.sum(weight**2) / weight.sum()))
    return mean, q / df, tau2**0.5


def kept(n_tokens: np.ndarray, error: np.ndarray, tau: float, share: float, rng: np.random.Generator) -> np.ndarray:
    """[2] the share of the good top's tokens that a ranking keeps, and that as many tokens at random keep."""
    total = np.zeros(2)
    for _ in range(N_DRAWS):
        truth = tau * rng.standard_normal(len(error))
        good = top(truth, n_tokens, GOOD)
        for k, value in enumerate((truth + error * rng.standard_normal(len(error)), rng.random(len(error)))):
            total[k] += n_tokens[good & top(value, n_tokens, share)].sum() / n_tokens[good].sum()
    return total / N_DRAWS


def ranks(values: np.ndarray) -> np.ndarray:
    return np.argsort(np.argsort(values))


def main(root: Path, mix: str) -> None:
    with duckdb.connect(str(root / "datasets" / mix / "latest" / "catalog.duckdb"), read_only=True) as con:
        columns = con.execute(SCORES).fetchnumpy()
    domains = columns["domain"].astype(str)
    heads = [f"top {share:.0%} keeps, at random" for share in SHARES]
    lines = [
        "# A ranking inside the domains of a mix, by the errors of its scores",
        "",
        f"Mix {mix}. The tokens kept of the best {GOOD:.0%}, and at random.",
        "",
        "| " + " | ".join(["domain", "documents", "Spearman with recurrence", "Q / df", "tau", *heads]) + " |",
        "| --- |" + " ---: |" * (4 + len(SHARES)),
    ]
    sums, rng = np.zeros((len(SHARES), 2)), np.random.default_rng(0)
    for domain in np.unique(domains):
        n_tokens, score, error, recurrence = (
            np.ma.filled(columns[name][domains == domain].astype(float), np.nan)
            for name in ("n_tokens", "score", "error", "recurrence")
        )
        _, q, tau = scatter(score, error)
        cells = [kept(n_tokens, error, tau, share, rng) for share in SHARES]
        sums += n_tokens.sum() * np.array(cells)
        spearman = np.corrcoef(ranks(score), ranks(recurrence))[0, 1]
        figures = [f"{ours:.0%}, {random:.0%}" for ours, random in cells]
        lines.append(f"| {domain} | {len(score)} | {spearman:.2f} | {q:.2f} | {tau:.3f} | {' | '.join(figures)} |")
    figures = [f"{ours:.0%}, {random:.0%}" for ours, random in sums / columns["n_tokens"].sum()]
    lines.append(f"| all, by tokens | {len(domains)} | | | | {' | '.join(figures)} |")
    TO.write_text("\n".join(lines) + "\n")
    print(TO.read_text())


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("root", type=Path)
    parser.add_argument("--mix", default="128k")
    arguments = parser.parse_args()
    main(arguments.root, arguments.mix)
