"""How well each score separates intact documents from junk: AUC with 90 % intervals for every kind of junk in the pool.

    .venv/bin/python benchmarks/scoring/separation.py N_PAIRS     after both variants of all_pairs.py, junk and others

Writes results/separation.md. AUC is the probability that an intact text scores above a junk text; 0.5 is chance.
Intervals are from 500 resamples of the texts. LDS uses the settings of its authors with 500 pairs, infogain and
longattn their defaults.
"""

import argparse
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import zstandard
from all_pairs import OUT as ANCHORED
from all_pairs import lines_of
from calibration import measured as all_pairs_of
from junk import OUT as JUNK
from junk import POOL
from others import path_of
from scipy.stats import rankdata, spearmanr
from strict import SETTINGS, lds
from tokenizers import Tokenizer

from pipelines.score.kept_pairs import Measured
from scorers.cheap import cheap
from scorers.cheap.background import Background, background, choose
from scorers.cheap.repeats import MAX_REPEAT_SHARE
from scorers.chunk_gain import chunks_of, parts
from scorers.chunk_gain.calibration import Calibration
from scorers.chunk_gain.pairs import first_pairs

TO = Path("benchmarks/results/separation.md")
KINDS = ("concat", "same", "cut", "repeat", "list", "shuffled", "random")
GAINS = ("far", "near", "uncorrected_far", "strength", "strength x entropy")
OTHERS = ("infogain", "key_share", "ds", "du")
CHEAP = ("recurrence", "order_z", "minus repeat_share", "minus list_share")


def gains(row: dict, n_pairs: int, calibration: Calibration) -> dict[str, float] | None:
    """The parts of chunk_gain from a text's first pairs; None where the text is not measured yet."""
    chunks = chunks_of(np.array(row["input_ids"], np.int64), 128)
    if row["kind"] == "intact":
        path = ANCHORED / f"{row['name']}.jsonl"
        if not path.exists() or len(path.read_text().splitlines()) < len(chunks):
            return None
        measured = {(p.target, p.context): p for p in all_pairs_of(path)}
        pairs = [measured[pair] for pair in first_pairs(len(chunks), row["name"], n_pairs)]
    else:
        pairs = Measured(JUNK).of(row["name"])[:n_pairs]
        if len(pairs) < n_pairs:
            return None
    score = parts(pairs, chunks, row["name"], calibration)
    product = score.strength * (score.entropy_factor if np.isfinite(score.entropy_factor) else 1.0)
    return {name: getattr(score, name) for name in GAINS[:-1]} | {GAINS[-1]: product}


def background_of(rows: list[dict]) -> Background:
    """The word statistics of each domain from the full corpus."""
    sampled = {}
    for domain in sorted({row["domain"] for row in rows}):
        with zstandard.open(f"data/corpus/{domain}.jsonl.zst", "rt") as stream:
            documents = [json.loads(line) for line in stream]
        n_bytes = np.array([len(document["text"]) for document in documents])
        chosen = [documents[k] for k in choose([document["id"] for document in documents], n_bytes, "background 0")]
        sampled[domain] = ([document["id"] for document in chosen], pa.array([document["text"] for document in chosen]))
    return background(sampled)


def cheap_scores(rows: list[dict], statistics: Background) -> list[dict[str, float]]:
    """The cheap scores of each text."""
    tokenizer = Tokenizer.from_file("examples/tokenizer/tokenizer.json")
    texts = pa.array([tokenizer.decode(row["input_ids"], skip_special_tokens=False) for row in rows])
    table = cheap(texts, [row["domain"] for row in rows], statistics).to_pylist()
    for scores in table:
        scores |= {f"minus {name}": -(scores[name] or 0.0) for name in ("repeat_share", "list_share")}
    return table


def auc(good: np.ndarray, bad: np.ndarray) -> float:
    return float(((good[:, None] > bad) + 0.5 * (good[:, None] == bad)).mean())


def shown(good: np.ndarray, bad: np.ndarray) -> str:
    if not len(good) or not len(bad):
        return "-"
    rng = np.random.default_rng(0)
    resampled = [auc(rng.choice(good, len(good)), rng.choice(bad, len(bad))) for _ in range(500)]
    return f"{auc(good, bad):.2f} [{np.quantile(resampled, 0.05):.2f}, {np.quantile(resampled, 0.95):.2f}]"


def others(row: dict) -> dict[str, float]:
    """LDS, infogain and LongAttn of a text, where measured."""
    path = path_of(row["name"])
    measured = json.loads(path.read_text()) if path.exists() else {}
    scores = {name: measured[name] for name in OTHERS if name in measured}
    strict = lds(row["name"], SETTINGS.sample_size)
    return scores | ({"LDS": strict.lds} if strict else {})


class Scores:
    """The scores of the pool's texts by name of the score, NaN where not measured."""

    def __init__(self, rows: list[dict], n_pairs: int):
        calibration = Calibration.read(Path("examples/calibration/smollm2-135m-instruct-128.json"))
        self.kind, self.domain = (np.array([row[name] for row in rows]) for name in ("kind", "domain"))
        self.level = np.array([level(row["name"]) for row in rows])
        scores_of_texts = []
        for row, cheap_parts in zip(rows, cheap_scores(rows, background_of(rows)), strict=True):
            gain = gains(row, n_pairs, calibration) or {}
            scores = {f"chunk_gain: {name}": value for name, value in gain.items()}
            if gain:
                scores["chunk_gain: far, with the guard"] = guarded(gain["far"], cheap_parts)
            scores |= others(row) | {name: cheap_parts[name] for name in CHEAP if cheap_parts[name] is not None}
            scores_of_texts.append(scores)
        names = [f"chunk_gain: {name}" for name in (*GAINS, "far, with the guard")] + ["LDS", *OTHERS, *CHEAP]
        self.by_name = {name: np.array([s.get(name, np.nan) for s in scores_of_texts]) for name in names}

    def values(self, name: str, kind: str, domain: str | None = None) -> np.ndarray:
        values = self.by_name[name]
        return values[(self.kind == kind) & ((self.domain == domain) | (domain is None)) & np.isfinite(values)]


def guarded(score: float, cheap_parts: dict) -> float:
    return -9.0 if (cheap_parts["repeat_share"] or 0) > MAX_REPEAT_SHARE else score


def level(name: str) -> float:
    """Mean nll of a text's chunks alone; NaN for junk."""
    alone = [line["alone"] for line in lines_of(ANCHORED / f"{name}.jsonl")]
    return float(np.mean(alone)) if alone else np.nan


def main(n_pairs: int) -> None:
    scores = Scores(pq.read_table(POOL).to_pylist(), n_pairs)
    counts = {kind: len(scores.values("chunk_gain: far", kind)) for kind in ("intact", *KINDS)}
    lines = [
        f"chunk_gain from {n_pairs} pairs; measured texts: " + ", ".join(f"{kind} {n}" for kind, n in counts.items()) + "; "
        f"LDS {len(scores.values('LDS', 'intact'))} and {len(scores.values('LDS', 'concat'))}, infogain and longattn "
        + ", ".join(f"{kind} {len(scores.values('infogain', kind))}" for kind in ("intact", *KINDS)) + ".", "",
        "| score | " + " | ".join(KINDS) + " |", "|---|" + "---:|" * len(KINDS),
    ]  # fmt: skip
    for name in scores.by_name:
        cells = (shown(scores.values(name, "intact"), scores.values(name, kind)) for kind in KINDS)
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    for name in ("chunk_gain: far, with the guard", "LDS", "infogain"):
        lines += [
            "",
            f"By domain, {name}:",
            "",
            "| domain | " + " | ".join(KINDS) + " |",
            "|---|" + "---:|" * len(KINDS),
        ]
        for domain in sorted(set(scores.domain)):
            cells = (shown(scores.values(name, "intact", domain), scores.values(name, kind, domain)) for kind in KINDS)
            lines.append(f"| {domain} | " + " | ".join(cells) + " |")
    lines += ["", *ranks_of_domains(scores)]
    TO.write_text("# Intact documents against junk\n\n" + "\n".join(lines) + "\n")
    print("\n".join(lines))


def ranks_of_domains(scores: Scores) -> list[str]:
    """The mean rank of each domain among intact documents, and the correlation of a score with the nll of the text."""
    domains = sorted(set(scores.domain))
    lines = [
        "Intact documents: mean relative rank of each domain (1 the highest score, 0 the lowest), and Spearman",
        "correlation with the mean nll of the chunks alone, overall and within domains. LDS is known to rank texts",
        "that are hard to predict, such as chat logs, highest and novels lowest.",
        "",
        "| score | " + " | ".join(domains) + " | with nll | within domains |",
        "|---|" + "---:|" * (len(domains) + 2),
    ]
    for name, values in scores.by_name.items():
        measured = (scores.kind == "intact") & np.isfinite(values) & np.isfinite(scores.level)
        if not measured.any():
            continue
        intact, nll, domain = values[measured], scores.level[measured], scores.domain[measured]
        rank = (rankdata(intact) - 1) / (len(intact) - 1)
        within = [spearmanr(intact[domain == d], nll[domain == d])[0] for d in domains if intact[domain == d].std()]
        cells = [f"{rank[domain == d].mean():.2f}" for d in domains]
        cells += [f"{spearmanr(intact, nll)[0]:.2f}", f"{np.mean(within):.2f}"]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return lines


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("n_pairs", type=int)
    main(parser.parse_args().n_pairs)
