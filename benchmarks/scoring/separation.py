"""Which scores tell an intact document from junk: AUC with 90 % intervals, for every kind of junk of the pool.

    .venv/bin/python benchmarks/scoring/separation.py N_PAIRS     after all_pairs.py and junk.py; writes results/separation.md

AUC: how often an intact text scores above a junk text; 0.5 is chance. Intervals: texts resampled 500 times.
"""

import json
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import zstandard
from all_pairs import OUT as ANCHORED
from calibration import measured as all_pairs_of
from junk import OUT as JUNK
from junk import POOL
from tokenizers import Tokenizer

from pipelines.measured import Measured
from scorers.background import Background, background, choose
from scorers.calibration import Calibration
from scorers.cheap import cheap
from scorers.chunk_gain import chunks_of, parts
from scorers.pairs import first_pairs
from scorers.repeats import MAX_REPEAT_SHARE

TO = Path("benchmarks/results/separation.md")
KINDS = ("concat", "same", "cut", "repeat", "list", "shuffled", "random")
GAINS = ("far", "near", "uncorrected_far", "strength", "strength x entropy")
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


def shown(good: list[float], bad: list[float]) -> str:
    good, bad = (np.array([np.nan if v is None else v for v in values], float) for values in (good, bad))
    good, bad = good[np.isfinite(good)], bad[np.isfinite(bad)]
    if not len(good) or not len(bad):
        return "-"
    rng = np.random.default_rng(0)
    again = [auc(rng.choice(good, len(good)), rng.choice(bad, len(bad))) for _ in range(500)]
    return f"{auc(good, bad):.2f} [{np.quantile(again, 0.05):.2f}, {np.quantile(again, 0.95):.2f}]"


def main(n_pairs: int) -> None:
    made_for = Calibration.read(Path("examples/calibration/smollm2-135m-instruct-128.json"))
    rows = pq.read_table(POOL).to_pylist()
    measured = [gains(row, n_pairs, made_for) for row in rows]
    screened = cheap_scores(rows, background_of(rows))
    counts = {
        kind: sum(r["kind"] == kind and m is not None for r, m in zip(rows, measured, strict=True))
        for kind in ("intact", *KINDS)
    }
    lines = [
        f"chunk_gain from {n_pairs} pairs; texts measured: " + ", ".join(f"{kind} {n}" for kind, n in counts.items()) + ".", "",
        "| score | " + " | ".join(KINDS) + " |", "|---|" + "---:|" * len(KINDS),
    ]  # fmt: skip

    def line(name: str, values: list[float | None]) -> None:
        of = {
            kind: [v for r, v in zip(rows, values, strict=True) if r["kind"] == kind and v is not None]
            for kind in ("intact", *KINDS)
        }
        lines.append(f"| {name} | " + " | ".join(shown(of["intact"], of[kind]) for kind in KINDS) + " |")

    for name in GAINS:
        line(f"chunk_gain: {name}", [m and m[name] for m in measured])
    guarded = [
        None if m is None else (-9.0 if (c["repeat_share"] or 0) > MAX_REPEAT_SHARE else m["far"])
        for m, c in zip(measured, screened, strict=True)
    ]
    line("chunk_gain: far, with the guard", guarded)
    for name in CHEAP:
        line(name, [c[name] for c in screened])
    lines += [
        "",
        "By domain, chunk_gain far with the guard:",
        "",
        "| domain | " + " | ".join(KINDS) + " |",
        "|---|" + "---:|" * len(KINDS),
    ]
    for domain in sorted({row["domain"] for row in rows}):
        of = {
            kind: [
                g
                for r, g in zip(rows, guarded, strict=True)
                if r["kind"] == kind and r["domain"] == domain and g is not None
            ]
            for kind in ("intact", *KINDS)
        }
        lines.append(f"| {domain} | " + " | ".join(shown(of["intact"], of[kind]) for kind in KINDS) + " |")
    TO.write_text("# Intact documents against junk\n\n" + "\n".join(lines) + "\n")
    print("\n".join(lines))


if __name__ == "__main__":
    main(int(sys.argv[1]))
