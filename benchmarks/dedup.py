"""Dedup on a corpus of near duplicates whose every pair of Jaccard similarity 0.4 and more is known exactly.

    python benchmarks/dedup.py CORPUS [--work data/dedup-run]

CORPUS holds parquet/*.parquet (id, text), truth_pairs.parquet (id_a, id_b, jaccard, kind) and is made of 12,520 real
documents and 6,000 edited copies of them. Ours is the whole path: ingest, signatures, the join, verification. The
baseline, in the same run, is datasketch's MinHash and LSH in a loop that keeps the first of each pair it finds.

justified: of the removed, the share that has a survivor at or above the threshold. orphaned: removed without a survivor at
0.5. recall of isolated pairs: of the pairs whose two documents are like nothing else, the share not both kept.
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
MOST_BELOW = 0.01  # of the pairs below 0.65


def ours(corpus: Path, work: Path) -> tuple[set[str], dict[str, float]]:
    """The ids that we keep, and the CPU and wall seconds of each stage."""
    from pipelines import dedup, ingest
    from pipelines.ingest.source import Source
    from pipelines.stage import Runner
    from pipelines.store import Store

    shutil.rmtree(work, ignore_errors=True)
    (work / "scratch").mkdir(parents=True)
    store, runner = Store(work.absolute()), Runner()
    cpu, wall = time.process_time(), time.perf_counter()
    source = Source(name="bench", domain="bench", path=str(corpus / "parquet"), origin="id", id=None)
    documents, _ = ingest.run([source], store, runner)
    read = time.process_time()
    _, duplicates = dedup.run(documents, dedup.DedupParams(threshold=THRESHOLD), ("bench",), {}, store, runner)
    spent = {"ingest": read - cpu, "dedup": time.process_time() - read, "wall": time.perf_counter() - wall}
    kept = set()
    for text, verdict in zip(documents, duplicates, strict=True):
        names, found = store.read(text, ["origin"])["origin"].to_pylist(), store.read(verdict, ["verdict"])["verdict"]
        kept |= {name for name, one in zip(names, found.to_pylist(), strict=True) if one == "kept"}
    return kept, spent


def baseline(corpus: Path) -> tuple[set[str], float]:
    """The ids that datasketch's loop keeps, and its CPU seconds."""
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
    every = {
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
        for gone, other in ((a, b), (b, a)):
            if gone not in kept and other in kept:
                best[gone] = max(best[gone], jaccard)
        if row["kind"] == "injected" and degree[a] == degree[b] == 1:
            band = next(band for band in BANDS if band[0] <= jaccard < band[1])
            pairs[band] += 1
            hits[band] += a not in kept or b not in kept
    removed = every - kept
    return {
        "kept": len(kept),
        "removed": len(removed),
        "justified": sum(best[name] >= THRESHOLD for name in removed) / max(1, len(removed)),
        "orphaned": sum(best[name] < 0.5 for name in removed),
        "recall": {band: (hits[band] / pairs[band], pairs[band]) for band in BANDS if pairs[band]},
    }


def gates(found: dict) -> list[str]:
    """What of the requirements is not met."""
    wrong = [] if found["justified"] == 1 else [f"justified {found['justified']:.4f}, not 1"]
    wrong += [f"orphaned {found['orphaned']}, not 0"] if found["orphaned"] else []
    wrong += [
        f"recall {band}: {found['recall'][band][0]:.4f} < {least}"
        for band, least in GATES.items()
        if found["recall"][band][0] < least
    ]
    low = found["recall"][0.40, 0.65][0]
    return wrong + ([f"recall below 0.65: {low:.4f} > {MOST_BELOW}"] if low > MOST_BELOW else [])


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
    kept, spent = ours(args.corpus, args.work)
    mine = {**score(args.corpus, kept), "cpu": spent["ingest"] + spent["dedup"]}
    theirs_kept, theirs_cpu = baseline(args.corpus)
    theirs = {**score(args.corpus, theirs_kept), "cpu": theirs_cpu}
    text = table({"longmix": mine, "datasketch, keep first": theirs})
    text += f"\n\nDedup alone takes {spent['dedup']:.1f} CPU seconds, ingest {spent['ingest']:.1f}; with both, {theirs_cpu / mine['cpu']:.1f} times less than the baseline.\n"
    Path("benchmarks/results").mkdir(parents=True, exist_ok=True)
    Path("benchmarks/results/dedup.md").write_text(text)
    print(text)
    if wrong := gates(mine):
        raise SystemExit("not met: " + "; ".join(wrong))


if __name__ == "__main__":
    main()
