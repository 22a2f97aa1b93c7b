"""Dedup on a corpus of near duplicates with an exact list of all pairs of Jaccard similarity 0.4 and more.

    python benchmarks/dedup.py CORPUS [--work data/dedup-run]

CORPUS contains parquet/*.parquet (id, text) and truth_pairs.parquet (id_a, id_b, jaccard, kind): 12,520 real documents
and 6,000 edited copies. longmix runs ingest and dedup with verification. The baseline, in the same run, is a loop over
datasketch's MinHash and LSH that keeps the first document of each pair.

justified: share of the removed documents with a survivor at or above the threshold. orphaned: removed documents without
a survivor at 0.5 or more. recall: over isolated pairs (both documents are in no other pair), the share not both kept.
"""

import argparse
import re
import shutil
import time
from collections import Counter, defaultdict
from pathlib import Path

import pyarrow.parquet as pq

THRESHOLD = 0.7
BANDS = ((0.40, 0.65), (0.65, 0.70), (0.70, 0.75), (0.75, 0.80), (0.80, 0.85), (0.85, 0.90), (0.90, 1.00), (1.00, 1.01))
GATES = {(0.80, 0.85): 0.98, (0.75, 0.80): 0.95, (0.70, 0.75): 0.90}
MAX_LOW_RECALL = 0.01  # of pairs below 0.65


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


def score(corpus: Path, kept: set[str]) -> dict[str, object]:
    ids = {
        name
        for part in (corpus / "parquet").glob("*.parquet")
        for name in pq.read_table(part, columns=["id"])["id"].to_pylist()
    }
    truth = pq.read_table(corpus / "truth_pairs.parquet").to_pylist()
    degree = Counter(name for row in truth for name in (row["id_a"], row["id_b"]))
    best: dict[str, float] = defaultdict(float)
    pairs, hits = Counter(), Counter()
    for row in truth:
        a, b, jaccard = row["id_a"], row["id_b"], row["jaccard"]
        for removed_id, other in ((a, b), (b, a)):
            if removed_id not in kept and other in kept:
                best[removed_id] = max(best[removed_id], jaccard)
        if row["kind"] == "injected" and degree[a] == degree[b] == 1:
            band = next(band for band in BANDS if band[0] <= jaccard < band[1])
            pairs[band] += 1
            hits[band] += a not in kept or b not in kept
    removed = ids - kept
    return {
        "kept": len(kept),
        "removed": len(removed),
        "justified": sum(best[name] >= THRESHOLD for name in removed) / max(1, len(removed)),
        "orphaned": sum(best[name] < 0.5 for name in removed),
        "recall": {band: (hits[band] / pairs[band], pairs[band]) for band in BANDS if pairs[band]},
    }


def unmet(scores: dict) -> list[str]:
    """The requirements that are not met."""
    lines = [] if scores["justified"] == 1 else [f"justified {scores['justified']:.4f}, not 1"]
    lines += [f"orphaned {scores['orphaned']}, not 0"] if scores["orphaned"] else []
    lines += [
        f"recall {band}: {scores['recall'][band][0]:.4f} < {minimum}"
        for band, minimum in GATES.items()
        if scores["recall"][band][0] < minimum
    ]
    low = scores["recall"][0.40, 0.65][0]
    return lines + ([f"recall below 0.65: {low:.4f} > {MAX_LOW_RECALL}"] if low > MAX_LOW_RECALL else [])


def table(columns: dict[str, dict]) -> str:
    lines = ["| | " + " | ".join(columns) + " |", "| --- |" + " ---: |" * len(columns)]
    lines += [
        f"| {name} | "
        + " | ".join(f"{c[name]:.4g}" if isinstance(c[name], float) else f"{c[name]:,}" for c in columns.values())
        + " |"
        for name in ("kept", "removed", "justified", "orphaned")
    ]
    for band in BANDS:
        if any(band in c["recall"] for c in columns.values()):
            cells = [c["recall"].get(band, (float("nan"), 0)) for c in columns.values()]
            label = "1.00" if band[0] == 1 else f"{band[0]:.2f} to {band[1]:.2f}"
            lines.append(
                f"| recall, Jaccard {label} ({cells[0][1]} pairs) | " + " | ".join(f"{r:.4f}" for r, _ in cells) + " |"
            )
    lines.append("| CPU seconds | " + " | ".join(f"{c['cpu']:.1f}" for c in columns.values()) + " |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpus", type=Path)
    parser.add_argument("--work", type=Path, default=Path("data/dedup-run"))
    args = parser.parse_args()
    kept, spent = longmix(args.corpus, args.work)
    ours = {**score(args.corpus, kept), "cpu": spent["ingest"] + spent["dedup"]}
    baseline_kept, baseline_cpu = baseline(args.corpus)
    theirs = {**score(args.corpus, baseline_kept), "cpu": baseline_cpu}
    text = table({"longmix": ours, "datasketch, keep first": theirs})
    text += (
        f"\n\nDedup alone takes {spent['dedup']:.1f} CPU seconds, ingest {spent['ingest']:.1f}; together they take "
        f"{baseline_cpu / ours['cpu']:.1f} times less than the baseline.\n"
    )
    Path("benchmarks/results").mkdir(parents=True, exist_ok=True)
    Path("benchmarks/results/dedup.md").write_text(text)
    print(text)
    if lines := unmet(ours):
        raise SystemExit("not met: " + "; ".join(lines))


if __name__ == "__main__":
    main()
