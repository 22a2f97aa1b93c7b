"""How well a mix keeps its domain shares, overall and along its stream: longmix, and the released code of Fu et al.

    python benchmarks/mix_shares.py ROOT [--mix 128k]

ROOT contains a built mix. The released rule (Fu et al. 2024, slimpajama_packing.py, per_source) counts tokens as
characters / 3.68, skips domains over their budget, and keeps documents with an estimate below 4,096 tokens with
probability r. Documents are shuffled by seed and concatenated. Both mixes are measured in tokens.

Rows of `sequence_tokens` cannot give every tenth of the stream exactly the shares of the mix. For comparison, the
script prints the worst tenth of the best of 1,000 shuffles of the same rows.
"""

import argparse
from pathlib import Path

import duckdb
import numpy as np

from flows.opened import opened
from pipelines.pack.balance import tv_of_parts

CHARS_PER_TOKEN = 3.68
LONG_TOKENS, SHORT_RATE = 4096, 0.1

DOCUMENTS = """
SELECT v.content_hash, v.domain, length(d.text) AS chars, v.n_tokens FROM documents v JOIN tables.documents d USING (shard, row)
WHERE v.verdict = 'kept' ORDER BY v.content_hash
"""
SEGMENTS = "SELECT sequence_id, domain, document_stop - document_start AS n FROM segments ORDER BY sequence_id, place"


def one_hot(domains: list[str], all_domains: list[str], n_tokens: np.ndarray) -> np.ndarray:
    """[n, d] tokens by domain."""
    column = {domain: i for i, domain in enumerate(all_domains)}
    tokens = np.zeros((len(domains), len(all_domains)))
    tokens[np.arange(len(domains)), [column[domain] for domain in domains]] = n_tokens
    return tokens


def released_rule(rows: list[tuple], shares: dict[str, float], budget: int, seed: int) -> tuple[list[str], np.ndarray]:
    """Domain and tokens of each document that the rule keeps, in order."""
    rng = np.random.default_rng(seed)
    spent, kept = dict.fromkeys(shares, 0.0), []
    for i in rng.permutation(len(rows)):
        _, domain, chars, n_tokens = rows[i]
        estimate = chars / CHARS_PER_TOKEN
        if spent[domain] > budget * shares[domain] or (estimate < LONG_TOKENS and rng.random() > SHORT_RATE):
            continue
        spent[domain] += estimate
        kept.append((domain, n_tokens))
    return [domain for domain, _ in kept], np.array([n for _, n in kept], np.float64)


def line(name: str, tokens: np.ndarray, targets: np.ndarray) -> str:
    shares = tokens.sum(axis=0) / tokens.sum()
    parts = tv_of_parts(tokens)
    worst = np.abs(shares - targets).max()
    return f"| {name} | {tokens.sum():,.0f} | {100 * worst:.3f} | {parts.mean():.3f} | {parts.max():.3f} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", type=Path)
    parser.add_argument("--mix")
    args = parser.parse_args()
    with opened(args.root, args.mix, "latest") as (con, manifest, _):
        rows, segments = con.execute(DOCUMENTS).fetchall(), con.execute(SEGMENTS).fetchall()
        query = "SELECT domain, sum(target_tokens) / sum(sum(target_tokens)) OVER () FROM targets GROUP BY domain"
        shares = dict(con.execute(query).fetchall())
        budget = manifest.recipe["plan"]["budget_tokens"]
    domains = sorted(shares)
    targets = np.array([shares[d] for d in domains])
    ours = one_hot([d for _, d, _ in segments], domains, np.array([n for *_, n in segments]))
    sequence = np.array([s for s, *_ in segments])
    by_row = np.stack([ours[sequence == s].sum(axis=0) for s in np.unique(sequence)])
    rng = np.random.default_rng(0)
    shuffles = [tv_of_parts(by_row[rng.permutation(len(by_row))]).max() for _ in range(1000)]
    released = [one_hot(d, domains, n) for d, n in (released_rule(rows, shares, budget, seed) for seed in range(5))]
    text = "\n".join([
        "| rule | tokens | worst share error, points | mean TV of tenths | worst TV of tenths |",
        "| --- | ---: | ---: | ---: | ---: |",
        line("longmix", ours, targets),
        *(line(f"released rule, seed {seed}", tokens, targets) for seed, tokens in enumerate(released)),
    ])  # fmt: skip
    text += (
        f"\n\nWorst tenth over 1,000 shuffles of the {len(by_row)} rows of longmix: minimum {min(shuffles):.3f}, "
        f"median {np.median(shuffles):.3f}.\n"
    )
    Path("benchmarks/results").mkdir(parents=True, exist_ok=True)
    Path("benchmarks/results/mix_shares.md").write_text(text)
    print(text)
    if np.abs(ours.sum(axis=0) / ours.sum() - targets).max() > 0.0005 or tv_of_parts(ours).max() > 0.05:
        raise SystemExit(f"not met (duckdb {duckdb.__version__})")


if __name__ == "__main__":
    main()
