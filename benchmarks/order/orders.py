"""Neighbour lists to an order: CPU seconds and memory by the number of documents, beside the original's walk in Python.

    .venv/bin/python benchmarks/order/orders.py                            prints a Markdown table
    .venv/bin/python benchmarks/order/orders.py --sizes 10000 100000

The lists are the 20 nearest documents inside clusters of 30 to 300 synthetic vectors (64 dimensions), under shuffled ids.
Making them is not timed. Each size runs in a process of its own, compiled code is warmed up first on other lists, and
BLAS has one thread. Peak memory includes the interpreter, the libraries, the lists and the vectors.

graph: lists to the union graph. matching: its edges by similarity, greedily. join: fragments to one path, by vectors.
improvement: 2-opt and Or-opt. In the same process: `released` compiled, and a plain Python walk and merge with lists,
dicts and sets, as the original has them. Both must give the same order.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

os.environ |= dict.fromkeys(("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS"), "1")

import numpy as np

from pipelines.keys import keyed, salt
from pipelines.order.bounds import mean_consecutive
from pipelines.order.graph import graph_of, union_graph
from pipelines.order.orders import ORDERS, OrderDocuments
from pipelines.order.orders.greedy_edge import matched
from pipelines.order.orders.improve import improved
from pipelines.order.orders.join import join_by_vectors
from pipelines.order.orders.released import ranked

SIZES = (10_000, 30_000, 100_000, 300_000, 1_000_000)
K, DIMENSIONS = 20, 64
MIN_CLUSTER, MAX_CLUSTER = 30, 300
SPREAD = 1.0  # length of the noise around a centroid of length 1
N_WARM = 3_000
MAX_PYTHON = 1_000_000  # documents of the walk in plain Python
MIN_GROUP = 21


def lists_of(n: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """ids [n, K] int32, similarities [n, K] float32, vectors [n, DIMENSIONS] float32."""
    rng = np.random.default_rng(seed)
    ids, similarities = np.full((n, K), -1, np.int32), np.zeros((n, K), np.float32)
    vectors = np.empty((n, DIMENSIONS), np.float32)
    shuffled = rng.permutation(n).astype(np.int32)
    start = 0
    while start < n:
        members = shuffled[start : start + int(rng.integers(MIN_CLUSTER, MAX_CLUSTER + 1))]
        start += len(members)
        centre = rng.standard_normal(DIMENSIONS) / np.sqrt(DIMENSIONS)
        noise = rng.standard_normal((len(members), DIMENSIONS)) * (SPREAD / np.sqrt(DIMENSIONS))
        own = (centre + noise).astype(np.float32)
        own /= np.linalg.norm(own, axis=1, keepdims=True)
        products = own @ own.T
        np.fill_diagonal(products, -np.inf)
        nearest = np.argsort(-products, axis=1)[:, : min(K, len(members) - 1)]
        vectors[members] = own
        ids[members, : nearest.shape[1]] = members[nearest]
        similarities[members, : nearest.shape[1]] = np.take_along_axis(products, nearest, axis=1)
    return ids, similarities, vectors


def documents_of(vectors: np.ndarray) -> OrderDocuments:
    content = np.zeros((len(vectors), 2), np.uint64)
    content[:, 1] = np.arange(len(vectors))
    return OrderDocuments(len(vectors), content, seed=0, vectors=vectors)


def in_python(ranks: np.ndarray) -> list[int]:
    """The original's walk and merge (patches P1 to P3 of orders/released.py) with its kinds of containers."""
    n = len(ranks)
    unseen, groups, group_of = set(range(n)), {0: [0]}, {0: 0}
    unseen.remove(0)
    at, number, length = 0, 0, 0
    while unseen:
        following = next((j for j in ranks[at] if j in unseen), None)
        if following is None or length >= MIN_GROUP:
            following = unseen.pop()
            number, length = number + 1, 0
            groups[number] = []
        else:
            unseen.remove(following)
        following = int(following)
        groups[number].append(following)
        group_of[following] = number
        length += 1
        at = following
    for group, members in groups.copy().items():
        if len(members) >= MIN_GROUP:
            continue
        stay = []
        for document in members:
            nearest = next((j for j in ranks[document] if j >= 0 and group_of[j] != group), None)
            if nearest is None:
                stay.append(document)
                continue
            target = groups[group_of[nearest]]
            target.insert(target.index(nearest), document)
            group_of[document] = group_of[nearest]
        if stay:
            groups[group] = stay
        else:
            del groups[group]
    return [document for members in groups.values() for document in members]


class Timer:
    """CPU seconds of the process since the last call."""

    def __init__(self):
        self.began = time.process_time()

    def __call__(self) -> float:
        now = time.process_time()
        spent, self.began = now - self.began, now
        return spent


def measure(ids: np.ndarray, similarities: np.ndarray, vectors: np.ndarray) -> dict[str, float]:
    documents = documents_of(vectors)
    row: dict[str, float] = {"n": len(ids)}
    timer = Timer()
    graph = graph_of(ids, similarities)
    union = union_graph(graph)
    row["graph"] = timer()
    fragments = matched(union)
    row["matching"] = timer()
    row["fragments"] = fragments.n_fragments
    timer()
    join_by_vectors(fragments, vectors, keyed(documents.content, salt("join", 0)))
    path = fragments.chain()
    row["join"] = timer()
    row["peak"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9
    timer()
    better = improved(path, union, vectors)
    row["improvement"] = timer()
    del union
    timer()
    order, _ = ORDERS["released"](graph, documents)
    row["released"] = timer()
    ORDERS["paper"](graph, documents)
    row["paper"] = timer()
    row["mean_joined"], row["mean_improved"] = mean_consecutive(path, vectors), mean_consecutive(better, vectors)
    row["mean_released"] = mean_consecutive(order, vectors)
    if len(ids) <= MAX_PYTHON:
        ranks = ranked(graph)
        timer()
        slow = in_python(ranks)
        row["python"] = timer()
        if not np.array_equal(slow, order):
            raise SystemExit("orders.py: the walk in Python and the compiled one differ; one of them is wrong")
    return row


def child(folder: Path) -> None:
    measure(*lists_of(N_WARM, seed=1))
    arrays = [np.load(folder / f"{name}.npy") for name in ("ids", "similarities", "vectors")]
    print(json.dumps(measure(*arrays)))


def printed(rows: list[dict[str, float]]) -> None:
    print("CPU seconds; graph + matching + join = lists to path.\n")
    print("| documents | graph | matching | join | lists to path | peak GB | improvement | fragments |")
    print("| ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    for row in rows:
        total = row["graph"] + row["matching"] + row["join"]
        print(
            f"| {row['n']:,} | {row['graph']:.2f} | {row['matching']:.2f} | {row['join']:.2f} | {total:.2f} "
            f"| {row['peak']:.2f} | {row['improvement']:.2f} | {row['fragments']:,} |"
        )
    print("\nMean cosine of consecutive documents, and CPU seconds of other orders.\n")
    print("| documents | released | joined | improved | paper s | released s | released in Python s | ratio |")
    print("| ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    for row in rows:
        python, ratio = "not run", ""
        if "python" in row:
            python, ratio = f"{row['python']:.2f}", f"{row['python'] / row['released']:.0f}"
        print(
            f"| {row['n']:,} | {row['mean_released']:.4f} | {row['mean_joined']:.4f} | {row['mean_improved']:.4f} "
            f"| {row['paper']:.2f} | {row['released']:.2f} | {python} | {ratio} |"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description="CPU seconds from neighbour lists to an order")
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES, help="numbers of documents")
    parser.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        child(options.child)
        return
    rows = []
    for n in options.sizes:
        with tempfile.TemporaryDirectory() as folder:
            for name, array in zip(("ids", "similarities", "vectors"), lists_of(n, seed=0), strict=True):
                np.save(Path(folder, f"{name}.npy"), array)
            command = [sys.executable, __file__, "--child", folder]
            rows.append(json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout))
            print(rows[-1], file=sys.stderr, flush=True)  # what a stopped run has measured
    printed(rows)


if __name__ == "__main__":
    main()
