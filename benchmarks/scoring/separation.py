"""Which scores tell an intact document from junk: AUC with 90 % intervals, for every kind of junk of the pool.

    .venv/bin/python benchmarks/scoring/separation.py N_PAIRS     after both of all_pairs.py, junk.py and others.py

Writes results/separation.md. AUC: how often an intact text scores above a junk text; 0.5 is chance. Intervals: texts
resampled 500 times. LDS has its own settings, 500 pairs; infogain and longattn their defaults.
"""

import json
import sys
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


def gains(row: dict, n_pairs: int, made_for: Calibration) -> dict[str, float] | None:
    """The parts of chunk_gain from a text's first pairs; None where it was not measured yet."""
    chunks = chunks_of(np.array(row["input_ids"], np.int64), 128)
    if row["kind"] == "intact":
        path = ANCHORED / f"{row['name']}.jsonl"
        if not path.exists() or len(path.read_text().splitlines()) < len(chunks):
            return None
        known = {(p.target, p.context): p for p in all_pairs_of(path)}
        pairs = [known[pair] for pair in first_pairs(len(chunks), row["name"], n_pairs)]
    else:
        pairs = Measured(JUNK).of(row["name"])[:n_pairs]
        if len(pairs) < n_pairs:
            return None
    found = parts(pairs, chunks, row["name"], made_for)
    both = found.strength * (found.entropy_factor if np.isfinite(found.entropy_factor) else 1.0)
    return {name: getattr(found, name) for name in GAINS[:-1]} | {GAINS[-1]: both}


def background_of(rows: list[dict]) -> Background:
    """What the whole corpus says of each domain."""
    documents = {}
    for domain in sorted({row["domain"] for row in rows}):
        with zstandard.open(f"data/corpus/{domain}.jsonl.zst", "rt") as stream:
            found = [json.loads(line) for line in stream]
        best = choose([d["id"] for d in found], np.array([len(d["text"]) for d in found]), "background 0")
        documents[domain] = ([found[k]["id"] for k in best], pa.array([found[k]["text"] for k in best]))
    return background(documents)


def cheap_scores(rows: list[dict], known: Background) -> list[dict[str, float]]:
    """The cheap tier of each text."""
    tokenizer = Tokenizer.from_file("examples/tokenizer/tokenizer.json")
    texts = pa.array([tokenizer.decode(row["input_ids"], skip_special_tokens=False) for row in rows])
    table = cheap(texts, [row["domain"] for row in rows], known).to_pylist()
    for found in table:
        found |= {f"minus {name}": -(found[name] or 0.0) for name in ("repeat_share", "list_share")}
    return table


def auc(good: np.ndarray, bad: np.ndarray) -> float:
    return float(((good[:, None] > bad) + 0.5 * (good[:, None] == bad)).mean())


def shown(good: np.ndarray, bad: np.ndarray) -> str:
    if not len(good) or not len(bad):
        return "-"
    rng = np.random.default_rng(0)
    again = [auc(rng.choice(good, len(good)), rng.choice(bad, len(bad))) for _ in range(500)]
    return f"{auc(good, bad):.2f} [{np.quantile(again, 0.05):.2f}, {np.quantile(again, 0.95):.2f}]"


def others(row: dict) -> dict[str, float]:
    """LDS, infogain and LongAttn of a text, as far as they were measured."""
    path = path_of(row["name"])
    known = json.loads(path.read_text()) if path.exists() else {}
    found = {name: known[name] for name in OTHERS if name in known}
    strict = lds(row["name"], SETTINGS.sample_size)
    return found | ({"LDS": strict.lds} if strict else {})


class Scores:
    """A score of each text of the pool, NaN where it was not measured: by the name of the score."""

    def __init__(self, rows: list[dict], n_pairs: int):
        made_for = Calibration.read(Path("examples/calibration/smollm2-135m-instruct-128.json"))
        self.kind, self.domain = (np.array([row[name] for row in rows]) for name in ("kind", "domain"))
        self.level = np.array([level(row["name"]) for row in rows])
        screened = cheap_scores(rows, background_of(rows))
        each = []
        for row, seen in zip(rows, screened, strict=True):
            gain = gains(row, n_pairs, made_for) or {}
            found = {f"chunk_gain: {name}": value for name, value in gain.items()}
            if gain:
                found["chunk_gain: far, with the guard"] = guarded(gain["far"], seen)
            found |= others(row) | {name: seen[name] for name in CHEAP if seen[name] is not None}
            each.append(found)
        names = [f"chunk_gain: {name}" for name in (*GAINS, "far, with the guard")] + ["LDS", *OTHERS, *CHEAP]
        self.of = {name: np.array([found.get(name, np.nan) for found in each]) for name in names}

    def values(self, name: str, kind: str, domain: str | None = None) -> np.ndarray:
        mine = (self.kind == kind) & ((self.domain == domain) | (domain is None)) & np.isfinite(self.of[name])
        return self.of[name][mine]


def guarded(score: float, seen: dict) -> float:
    return -9.0 if (seen["repeat_share"] or 0) > MAX_REPEAT_SHARE else score


def level(name: str) -> float:
    """Mean nll of a text's chunks, each alone; NaN for junk."""
    alone = [line["alone"] for line in lines_of(ANCHORED / f"{name}.jsonl")]
    return float(np.mean(alone)) if alone else np.nan


def main(n_pairs: int) -> None:
    scores = Scores(pq.read_table(POOL).to_pylist(), n_pairs)
    counts = {kind: len(scores.values("chunk_gain: far", kind)) for kind in ("intact", *KINDS)}
    lines = [
        f"chunk_gain from {n_pairs} pairs; texts measured: " + ", ".join(f"{kind} {n}" for kind, n in counts.items()) + "; "
        f"LDS {len(scores.values('LDS', 'intact'))} and {len(scores.values('LDS', 'concat'))}, infogain and longattn "
        + ", ".join(f"{kind} {len(scores.values('infogain', kind))}" for kind in ("intact", *KINDS)) + ".", "",
        "| score | " + " | ".join(KINDS) + " |", "|---|" + "---:|" * len(KINDS),
    ]  # fmt: skip
    for name in scores.of:
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
    lines += ["", *whom_first(scores)]
    TO.write_text("# Intact documents against junk\n\n" + "\n".join(lines) + "\n")
    print("\n".join(lines))


def whom_first(scores: Scores) -> list[str]:
    """Which domains a score ranks first among intact documents, and whether it follows how hard a text is to predict."""
    domains = sorted(set(scores.domain))
    lines = [
        "Intact documents: mean place of a domain's (0 the last of all, 1 the first), and Spearman with the mean nll of their",
        "chunks alone, inside domains too: LDS is known to put what is hard to predict first, such as chat logs, and novels last.",
        "",
        "| score | " + " | ".join(domains) + " | with nll | inside domains |",
        "|---|" + "---:|" * (len(domains) + 2),
    ]
    for name, values in scores.of.items():
        mine = (scores.kind == "intact") & np.isfinite(values) & np.isfinite(scores.level)
        if not mine.any():
            continue
        place = (rankdata(values[mine]) - 1) / (mine.sum() - 1)
        of = scores.domain[mine]
        inside = [
            spearmanr(values[mine][of == d], scores.level[mine][of == d])[0]
            for d in domains
            if values[mine][of == d].std()
        ]
        cells = [f"{place[of == d].mean():.2f}" for d in domains]
        cells += [f"{spearmanr(values[mine], scores.level[mine])[0]:.2f}", f"{np.mean(inside):.2f}"]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return lines


if __name__ == "__main__":
    main(int(sys.argv[1]))
