r"""Dedup on a corpus of near duplicates with an exact list of all pairs of Jaccard similarity 0.4 and more.

    python benchmarks/dedup.py CORPUS... [--work data/dedup-run]

A CORPUS contains parquet/*.parquet (id, text) and truth_pairs.parquet (id_a, id_b, jaccard, kind): 12,520 real documents
and 6,000 edited copies. longmix runs ingest and dedup with verification. The baseline, in the same run, is a loop over
datasketch's MinHash and LSH that keeps the first document of each pair.

The list takes a run of \w as a word, as the baseline does. longmix takes each letter of a script without spaces as a word,
so for longmix the pairs of documents with such letters are computed again by dedup_truth.py.

justified: share of the removed documents with a survivor at or above the threshold. orphaned: removed documents without
a survivor at 0.5 or more. recall: over isolated pairs (both documents are in no other pair), the share not both kept.
"""

import argparse
import json
import re
import shutil
import time
from collections import Counter, defaultdict
from pathlib import Path

import dedup_truth
import pyarrow.parquet as pq

THRESHOLD = 0.7
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


def own_truth(corpus: Path, truth: list[dict]) -> tuple[list[dict], int]:
    """The pairs by longmix's words, and the number of documents with letters of scripts without spaces."""
    texts = texts_of(corpus)
    sets = {
        name: dedup_truth.windows(text)
        for name, text in sorted(texts.items())
        if dedup_truth.UNSPACED_LETTER.search(text)
    }
    names, kinds = list(sets), {(row["id_a"], row["id_b"]): row["kind"] for row in truth}
    among = [(names[i], names[j], jaccard) for i, j, jaccard in dedup_truth.similar_pairs(list(sets.values()), 0.4)]
    for row in truth:  # of the other pairs with such a document: its new words cannot make it more similar
        a, b = row["id_a"], row["id_b"]
        if (a in sets) != (b in sets):
            one, other = (sets[name] if name in sets else dedup_truth.windows(texts[name]) for name in (a, b))
            n_common = len(set(one.tolist()) & set(other.tolist()))
            among.append((a, b, n_common / (len(one) + len(other) - n_common)))
    rows = [
        {"id_a": a, "id_b": b, "jaccard": jaccard, "kind": kinds.get((a, b), "natural")}
        for a, b, jaccard in among
        if jaccard >= 0.4
    ]
    return [row for row in truth if row["id_a"] not in sets and row["id_b"] not in sets] + rows, len(sets)


def score(corpus: Path, kept: set[str], truth: list[dict]) -> dict[str, object]:
    ids = {
        name
        for part in (corpus / "parquet").glob("*.parquet")
        for name in pq.read_table(part, columns=["id"])["id"].to_pylist()
    }
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
    lines += [f"{scores['cpu']:.1f} CPU seconds > {MAX_CPU_SECONDS}"] if scores["cpu"] > MAX_CPU_SECONDS else []
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
                f"| recall, Jaccard {label} (pairs) | " + " | ".join(f"{r:.4f} ({n})" for r, n in cells) + " |"
            )
    lines.append("| CPU seconds | " + " | ".join(f"{c['cpu']:.1f}" for c in columns.values()) + " |")
    return "\n".join(lines)


def compare(corpus: Path, work: Path) -> tuple[str, list[str]]:
    """The table of a corpus, and the requirements that longmix does not meet."""
    truth = pq.read_table(corpus / "truth_pairs.parquet").to_pylist()
    own, n_unspaced = own_truth(corpus, truth)
    kept, spent = longmix(corpus, work)
    ours = {**score(corpus, kept, own), "cpu": spent["ingest"] + spent["dedup"]}
    baseline_kept, baseline_cpu = baseline(corpus)
    theirs = {**score(corpus, baseline_kept, truth), "cpu": baseline_cpu}
    text = table({"longmix": ours, "datasketch, keep first": theirs})
    text += (
        f"\n\nDedup alone takes {spent['dedup']:.1f} CPU seconds, ingest {spent['ingest']:.1f}; together they take "
        f"{baseline_cpu / ours['cpu']:.1f} times less than the baseline. {n_unspaced:,} documents have letters of scripts "
        "without spaces; their pairs are longmix's own.\n"
    )
    return text, unmet(ours)


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
