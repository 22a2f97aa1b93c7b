"""Neighbours and orders of 100,000 chunks of 512 tokens of the corpus, embedded with a static table.

    python benchmarks/order/chunks.py --root ROOT --mix MIX --encoder FOLDER --work DIR

ROOT holds a built version of mixes/128k.toml, whose encoded documents are cut into chunks; 100,000 are drawn by a hash.

search: CPU seconds of the exact search of all pairs, of partitions of 8,192 with and without ghosts, and of faiss; recall is
the share of the 20 nearest of the exact search that each finds. The exact search runs in strips, as in a build.
orders: CPU seconds, mean cosine of consecutive chunks, restarts, and the share of the half-sum bound; the gain is over
`released`. Kernels are compiled before.
"""

import argparse
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow as pa

sys.path.insert(0, str(Path(__file__).parents[2]))

from tokenizers import Tokenizer

from pipelines.keys import mixed
from pipelines.order.bounds import half_sum_bound, mean_consecutive
from pipelines.order.centroids import centres, n_partitions, places_of
from pipelines.order.graph import Graph
from pipelines.order.neighbours import GHOST_SHARE, Search, nearest
from pipelines.order.orders import ORDERS, OrderDocuments
from pipelines.order.products import one_thread
from pipelines.shares import MICRO
from pipelines.store import Store
from pipelines.versions import latest, tables_of
from scorers.embedding import EncoderParams, load
from scorers.weights import Weights

CHUNK_TOKENS, N_CHUNKS, K = 512, 100_000, 20
NO_COPIES = 1_000_001  # millionths: nothing leaves the graph
NAMES = ("random", "released", "paper", "greedy_edge", "cluster_path")


def chunk_vectors(root: Path, mix: str, encoder: Path, work: Path) -> np.ndarray:
    """[N_CHUNKS, d] float32; kept in a file of `work`."""
    path = work / f"chunks-{encoder.name}.npy"
    if path.exists():
        return np.load(path)
    store = Store(root.absolute(), run=None)
    tokenizer = Tokenizer.from_file("examples/tokenizer/tokenizer.json")
    chunks = []
    for shard in tables_of(latest(root, mix))["TOKENS"]:
        for ids in store.read(shard, ("input_ids",))["input_ids"].drop_null():
            values = ids.values.to_numpy()[:-1]
            whole = len(values) // CHUNK_TOKENS * CHUNK_TOKENS
            chunks += list(values[:whole].reshape(-1, CHUNK_TOKENS).astype(np.int32))
    keys = mixed(np.arange(len(chunks), dtype=np.uint64))
    chosen = np.argsort(keys)[:N_CHUNKS]
    print(f"{len(chunks):,} chunks, {len(chosen):,} drawn", file=sys.stderr)
    texts = tokenizer.decode_batch([chunks[i].tolist() for i in chosen])
    began = time.process_time()
    vectors = load(EncoderParams(weights=Weights.of(encoder))).vectors(pa.array(texts, pa.large_string()))
    print(f"embedded in {time.process_time() - began:.1f} CPU s", file=sys.stderr)
    np.save(path, vectors)
    return vectors


def timed(function, *arguments):
    began = time.process_time()
    result = function(*arguments)
    return result, time.process_time() - began


def pairs_of(graph: Graph) -> np.ndarray:
    row = np.repeat(np.arange(graph.n), np.diff(graph.offsets))
    return row * graph.n + graph.neighbours


def partitioned(vectors: np.ndarray, ghost_share: float):
    keys = mixed(np.arange(len(vectors), dtype=np.uint64))
    n = n_partitions(len(vectors), 8192, 1)
    found = centres(lambda: iter([(np.arange(len(vectors)), vectors)]), keys, n)
    places = places_of(vectors, found, np.zeros(len(found), int), ghost_share)
    return nearest(vectors, places, np.arange(len(vectors)), Search(K, NO_COPIES, len(vectors))), places


def search(vectors: np.ndarray) -> Graph:
    n = len(vectors)
    alone = np.stack([np.zeros(n, np.int32), np.full(n, -1, np.int32)], axis=1)
    exact, seconds = timed(nearest, vectors, alone, np.arange(n), Search(K, NO_COPIES, n))
    print("| search | CPU seconds | chunks a CPU second | recall of the 20 nearest |\n|---|---:|---:|---:|")
    print(f"| exact, all pairs | {seconds:.1f} | {n / seconds:,.0f} | 1 |", flush=True)
    every = pairs_of(exact.graph)
    for label, share in (("partitions of 8,192", 2.0), ("the same with ghosts", GHOST_SHARE)):
        (found, places), seconds = timed(partitioned, vectors, share)
        recall = np.isin(every, pairs_of(found.graph)).mean()
        ghosts = (places[:, 1] >= 0).mean()
        print(f"| {label} ({ghosts:.0%} ghosts) | {seconds:.1f} | {n / seconds:,.0f} | {recall:.3f} |", flush=True)
    found, seconds = timed(nearest, vectors, alone, np.arange(n), Search(K, NO_COPIES, 1))
    recall = np.isin(every, pairs_of(found.graph)).mean()
    print(f"| faiss, inverted file | {seconds:.1f} | {n / seconds:,.0f} | {recall:.3f} |", flush=True)
    return exact.graph


def orders(vectors: np.ndarray, graph: Graph) -> None:
    n = len(vectors)
    documents = OrderDocuments(
        n, np.stack([np.zeros(n, np.uint64), np.arange(n, dtype=np.uint64)], axis=1), seed=0, vectors=vectors
    )
    small = Graph(np.zeros(3, np.int64), np.empty(0, np.int32), np.empty(0, np.int32))
    few = OrderDocuments(2, documents.content[:2], seed=0, vectors=vectors[:2])
    starts = graph.offsets[:-1]
    two = np.stack([graph.similarities[starts + i] / MICRO for i in range(2)], axis=1)
    bound, means = half_sum_bound(two) / (n - 1), {}
    print("\n| order | CPU seconds | mean cosine | share of the half-sum bound | restarts | gain over released |")
    print("|---|---:|---:|---:|---:|---:|")
    for name in NAMES:
        ORDERS[name](small, few)  # compiles
        (order, restarts), seconds = timed(ORDERS[name], graph, documents)
        means[name] = mean_consecutive(order, vectors)
        gain = f"{means[name] / means['released'] - 1:+.1%}" if "released" in means else "-"
        print(
            f"| {name} | {seconds:.1f} | {means[name]:.4f} | {means[name] / bound:.1%} | {restarts.mean():.1%} | {gain} |",
            flush=True,
        )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("root", "encoder", "work"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--mix", default="128k")
    args = parser.parse_args()
    args.work.mkdir(parents=True, exist_ok=True)
    chunks = chunk_vectors(args.root, args.mix, args.encoder, args.work)
    with one_thread():
        orders(chunks, search(chunks))
