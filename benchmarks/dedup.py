r"""Dedup on a corpus of near duplicates with an exact list of all pairs of Jaccard similarity 0.4 and more.

    python benchmarks/dedup.py CORPUS... [--work data/dedup-run]

A CORPUS contains parquet/*.parquet (id, text) and truth_pairs.parquet (id_a, id_b, jaccard, kind): 12,520 real
documents and 6,000 edited copies. longmix runs ingest and dedup with verification. The baseline, in the same run, is a
loop over datasketch's MinHash and LSH that keeps the first document of each pair.

The list takes a run of \w as a word, as the baseline does. longmix takes each letter of a script without spaces as a
word. So there are two tables. The first has the documents without such letters, against the list. The second has the
documents with such letters, and those of similarity 0.4 or more to one of them, against the exact similarity by
longmix's words of all pairs with a document that has such letters (dedup_truth.py). CPU seconds are those of the
complete corpus.

justified: share of the removed documents with a survivor at or above the threshold. orphaned: removed documents without
a survivor at 0.5 or more. recall: over isolated pairs (both documents are in no other pair), the share not both kept;
in the first table over the pairs of a document and its edited copy, in the second over all.
"""

import argparse
import json
import re
import shutil
import time
from collections import Counter, defaultdict
from pathlib import Path
from typing import NamedTuple

import dedup_truth
import pyarrow.parquet as pq

THRESHOLD = 0.7
FLOOR = 0.4  # similarity of the pairs in the list
BANDS = ((0.40, 0.65), (0.65, 0.70), (0.70, 0.75), (0.75, 0.80), (0.80, 0.85), (0.85, 0.90), (0.90, 1.00), (1.00, 1.01))
GATES = {(0.80, 0.85): 0.98, (0.75, 0.80): 0.95, (0.70, 0.75): 0.90}
MAX_LOW_RECALL = 0.01  # of pairs below 0.65
MAX_CPU_SECONDS = 8.0  # of ingest and dedup; on a quiet machine


def longmix(corpus: Path, work: Path) -> tuple[set[str], dict[str, float]]:
    """The ids that longmix keeps, and the CPU and wall seconds of each stage."""
    from pipelines import dedup, ingest
    from pipelines.ingest.source import Source
    from pipelines.stage import Engine, Runner
    from pipelines.store import Store

    shutil.rmtree(work, ignore_errors=True)
    (work / "scratch").mkdir(parents=True)
    engine = Engine(Store(work.absolute()), Runner())
    cpu, wall = time.process_time(), time.perf_counter()
    source = Source(name="bench", domain="bench", path=str(corpus / "parquet"), origin="id", id=None)
    documents, _ = ingest.run([source], engine)
    read = time.process_time()
    _, duplicates, _ = dedup.run(documents, dedup.DedupParams(threshold=THRESHOLD), ("bench",), {}, engine)
    spent = {"ingest": read - cpu, "dedup": time.process_time() - read, "wall": time.perf_counter() - wall}
    kept = set()
    for text, verdict in zip(documents, duplicates, strict=True):
        ids = engine.store.read(text, ["origin"])["origin"].to_pylist()
        verdicts = engine.store.read(verdict, ["verdict"])["verdict"].to_pylist()
        kept |= {name for name, value in zip(ids, verdicts, strict=True) if value == "kept"}
    return kept, spent


def baseline(corpus: Path) -> tuple[set[str], float]:
    """The ids that the datasketch loop keeps, and its CPU seconds."""
    from datasketch import MinHash, MinHashLSH

    began, kept = time.process_time(), set()
    lsh = MinHashLSH(threshold=THRESHOLD, num_perm=128)
    for part in sorted((corpus / "parquet").glob("*.parquet")):
        for row in pq.read_table(part, columns=["id", "text"]).to_pylist():
            words = re.findall(r"\w+", row["text"].lower())
            signature = MinHash(num_perm=128)
            signature.update_batch({" ".join(words[i : i + 5]).encode() for i in range(max(1, len(words) - 4))})
            if not lsh.query(signature):
                lsh.insert(row["id"], signature)
                kept.add(row["id"])
    return kept, time.process_time() - began


def texts_of(corpus: Path) -> dict[str, str]:
    parts = [pq.read_table(part, columns=["id", "text"]) for part in sorted((corpus / "parquet").glob("*.parquet"))]
    return {name: text for part in parts for name, text in zip(*part.to_pydict().values(), strict=True)}


def own_truth(texts: dict[str, str], is_unspaced: set[str]) -> list[dict]:
    """The pairs, by longmix's words, of which a document has letters of scripts without spaces."""
    names = sorted(texts, key=lambda name: (name not in is_unspaced, name))
    sets = [dedup_truth.windows(texts[name]) for name in names]
    pairs = dedup_truth.similar_pairs(sets, FLOOR, len(is_unspaced))
    return [{"id_a": names[i], "id_b": names[j], "jaccard": jaccard} for i, j, jaccard in pairs]


class Judged(NamedTuple):
    """What a result is scored by: documents, exact similarity of pairs, and the pairs that recall is measured over."""

    ids: set[str]
    truth: list[dict]
    counted: list[dict]


def split(texts: dict[str, str], truth: list[dict]) -> tuple[Judged, Judged, int]:
    """The documents of the first and of the second table, and the number with letters of scripts without spaces."""
    is_unspaced = {name for name, text in texts.items() if dedup_truth.is_unspaced(text)}
    spaced_pairs = [row for row in truth if not is_unspaced & {row["id_a"], row["id_b"]}]
    stale_pairs = [row for row in truth if is_unspaced & {row["id_a"], row["id_b"]}]
    own_pairs = own_truth(texts, is_unspaced)
    near = {row[end] for row in [*own_pairs, *stale_pairs] for end in ("id_a", "id_b")}
    second = is_unspaced | near
    injected = [row for row in spaced_pairs if row["kind"] == "injected"]
    return (
        Judged(set(texts) - second, spaced_pairs, injected),
        Judged(second, [*own_pairs, *spaced_pairs], own_pairs),
        len(is_unspaced),
    )


def score(kept: set[str], judged: Judged, isolated_in: list[dict]) -> dict[str, object]:
    """isolated_in: a pair is isolated if its documents are in no other pair of these."""
    degree = Counter(name for row in isolated_in for name in (row["id_a"], row["id_b"]))
    best: dict[str, float] = defaultdict(float)
    for row in judged.truth:
        a, b = row["id_a"], row["id_b"]
        for removed_id, other in ((a, b), (b, a)):
            if removed_id not in kept and other in kept:
                best[removed_id] = max(best[removed_id], row["jaccard"])
    pairs, hits = Counter(), Counter()
    for row in judged.counted:
        a, b = row["id_a"], row["id_b"]
        if degree[a] == degree[b] == 1:
            band = next(band for band in BANDS if band[0] <= row["jaccard"] < band[1])
            pairs[band] += 1
            hits[band] += a not in kept or b not in kept
    removed = judged.ids - kept
    return {
        "documents": len(judged.ids),
        "kept": len(judged.ids & kept),
        "removed": len(removed),
        "justified": sum(best[name] >= THRESHOLD for name in removed) / max(1, len(removed)),
        "orphaned": sum(best[name] < 0.5 for name in removed),
        "recall": {band: (hits[band] / pairs[band], pairs[band]) for band in BANDS if pairs[band]},
    }


def unmet(scores: dict) -> list[str]:
    """The requirements that are not met."""
    lines = [] if scores["justified"] == 1 else [f"justified {scores['justified']:.4f}, not 1"]
    lines += [f"orphaned {scores['orphaned']}, not 0"] if scores["orphaned"] else []
    for band, (recall, n) in scores["recall"].items():
        if recall < GATES.get(band, 0):
            lines.append(f"recall {band}: {recall:.4f} of {n} pairs < {GATES[band]}")
        if band[1] <= 0.65 and recall > MAX_LOW_RECALL:
            lines.append(f"recall {band}: {recall:.4f} of {n} pairs > {MAX_LOW_RECALL}")
    return lines


def table(columns: dict[str, dict]) -> str:
    lines = ["| | " + " | ".join(columns) + " |", "| --- |" + " ---: |" * len(columns)]
    lines += [
        f"| {name} | "
        + " | ".join(f"{c[name]:.4g}" if isinstance(c[name], float) else f"{c[name]:,}" for c in columns.values())
        + " |"
        for name in ("documents", "kept", "removed", "justified", "orphaned")
    ]
    for band in BANDS:
        cells = [c["recall"][band] for c in columns.values() if band in c["recall"]]
        if cells:
            label = "1.00" if band[0] == 1 else f"{band[0]:.2f} to {band[1]:.2f}"
            label += f" ({cells[0][1]:,} pairs)"
            lines.append(f"| recall, Jaccard {label} | " + " | ".join(f"{recall:.4f}" for recall, _ in cells) + " |")
    if all("cpu" in c for c in columns.values()):
        lines.append("| CPU seconds | " + " | ".join(f"{c['cpu']:.1f}" for c in columns.values()) + " |")
    return "\n".join(lines)


def compare(corpus: Path, work: Path) -> tuple[str, list[str]]:
    """The tables of a corpus, and the requirements that longmix does not meet."""
    kept, spent = longmix(corpus, work)
    baseline_kept, baseline_cpu = baseline(corpus)
    cpu = spent["ingest"] + spent["dedup"]
    truth = pq.read_table(corpus / "truth_pairs.parquet").to_pylist()
    first, second, n_unspaced = split(texts_of(corpus), truth)
    ours, theirs = score(kept, first, truth), score(baseline_kept, first, truth)
    own = score(kept, second, second.truth)
    text = (
        "Documents without letters of scripts without spaces; CPU seconds of the complete corpus:\n\n"
        + table({"longmix": {**ours, "cpu": cpu}, "datasketch, keep first": {**theirs, "cpu": baseline_cpu}})
        + f"\n\nDedup alone takes {spent['dedup']:.1f} CPU seconds, ingest {spent['ingest']:.1f}; together they take "
        + f"{baseline_cpu / cpu:.1f} times less than the baseline.\n\n"
        + f"The {n_unspaced:,} documents with such letters and the {len(second.ids) - n_unspaced:,} similar to one of "
        + "them, by longmix's words:\n\n"
        + table({"longmix": own})
        + "\n"
    )
    missing = unmet(ours) + [f"with such letters: {line}" for line in unmet(own)]
    missing += [f"{cpu:.1f} CPU seconds > {MAX_CPU_SECONDS}"] if cpu > MAX_CPU_SECONDS else []
    return text, missing


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpora", type=Path, nargs="+", metavar="CORPUS")
    parser.add_argument("--work", type=Path, default=Path("data/dedup-run"))
    args = parser.parse_args()
    texts, missing = [], []
    for corpus in args.corpora:
        seed = json.loads((corpus / "manifest.json").read_text())["seed"]
        text, lines = compare(corpus, args.work)
        texts.append(f"## Corpus of seed {seed}\n\n{text}")
        missing += [f"seed {seed}: {line}" for line in lines]
        print(texts[-1])
    Path("benchmarks/results").mkdir(parents=True, exist_ok=True)
    Path("benchmarks/results/dedup.md").write_text("\n".join(texts))
    if missing:
        raise SystemExit("not met: " + "; ".join(missing))


if __name__ == "__main__":
    main()
