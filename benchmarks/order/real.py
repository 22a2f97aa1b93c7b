"""Orders of real documents: how near each comes to the best path, and how much of it a static table keeps.

    python benchmarks/order/encoders.py --root data/mixes --mix 128k --work data/encoders
    python benchmarks/order/real.py --vectors data/encoders

First table: orders of the drawn documents by MiniLM's vectors, in per cent of the Held-Karp bound and of the half-sum bound.
The graph has the 20 nearest of each document, by the search of a build; near copies stay, so that all orders have all.

Second table: greedy_edge in the space of each encoder, judged by MiniLM's cosines. lift: the mean over consecutive documents,
minus that of a random order, as a share of the lift of MiniLM's own order. Only documents that examples/make_encoder.py did
not see. By domain: over pairs whose second document is of the domain.
"""

import argparse
import sys
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[2]))

from pipelines.order.bounds import consecutive, half_sum_bound, held_karp_bound, nearest_of, path_weight
from pipelines.order.neighbours import Search, nearest
from pipelines.order.orders import ORDERS, OrderDocuments
from pipelines.order.products import one_thread

K = 20
NO_COPIES = 1_000_001  # millionths: nothing leaves the graph
NAMES = ("random", "released", "paper_static", "paper", "greedy_edge", "cluster_path")
REFERENCE = "minilm-head"
FIT_DIGITS = ("0", "1", "2", "3")  # of examples/make_encoder.py


def ordered(vectors: np.ndarray, name: str) -> tuple[np.ndarray, np.ndarray, float]:
    """order, restarts and the CPU seconds of the order."""
    n = len(vectors)
    alone = np.stack([np.zeros(n, np.int32), np.full(n, -1, np.int32)], axis=1)
    graph = nearest(vectors, alone, np.arange(n), Search(K, NO_COPIES, n)).graph
    content = np.stack([np.zeros(n, np.uint64), np.arange(n, dtype=np.uint64)], axis=1)
    documents = OrderDocuments(n, content, seed=0, vectors=vectors)
    ORDERS[name](graph, documents)  # compiles
    began = time.process_time()
    order, restarts = ORDERS[name](graph, documents)
    return order, restarts, time.process_time() - began


def bounds(vectors: np.ndarray) -> None:
    held_karp, half_sum = held_karp_bound(vectors), half_sum_bound(nearest_of(vectors, 2)[1])
    n = len(vectors)
    print(
        f"{n:,} documents; bounds of the mean cosine: Held-Karp {held_karp / (n - 1):.4f}, half sum {half_sum / (n - 1):.4f}\n"
    )
    print(
        "| order | mean cosine | of Held-Karp | of the half sum | restarts | CPU seconds |\n|---|---:|---:|---:|---:|---:|"
    )
    for name in NAMES:
        order, restarts, seconds = ordered(vectors, name)
        total = path_weight(order, vectors)
        print(
            f"| {name} | {total / (n - 1):.4f} | {total / held_karp:.1%} | {total / half_sum:.1%} | {restarts.sum():,} | "
            f"{seconds:.2f} |"
        )


def lifts(folder: Path, unseen: np.ndarray, judge: np.ndarray, domain: np.ndarray) -> None:
    judge, domain = judge[unseen], domain[unseen]
    names = sorted(set(domain.tolist()))
    at_random = np.random.default_rng(0).permutation(len(judge))
    base = by_domain(judge, at_random, domain, names)
    own = by_domain(judge, ordered(judge, "greedy_edge")[0], domain, names) - base
    print(f"\n{len(judge):,} documents; lift of MiniLM's own order {own[0]:.4f} over {base[0]:.4f}\n")
    print(f"| encoder | all | {' | '.join(names)} |\n|---|{'---:|' * (len(names) + 1)}")
    for path in sorted(folder.glob("*.npz")):
        with np.load(path) as file:
            vectors = np.ascontiguousarray(file["vectors"], np.float32)
        if path.stem == REFERENCE or len(vectors) != len(unseen):
            continue
        kept = (by_domain(judge, ordered(vectors[unseen], "greedy_edge")[0], domain, names) - base) / own
        print(f"| {path.stem} | {' | '.join(f'{share:.0%}' for share in kept)} |", flush=True)


def by_domain(judge: np.ndarray, order: np.ndarray, domain: np.ndarray, names: list[str]) -> np.ndarray:
    """[1 + d] mean cosine of consecutive documents: of all, and by domain of the second."""
    each, second = consecutive(order, judge), domain[order[1:]]
    return np.array([each.mean(), *(each[second == name].mean() for name in names)])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--vectors", type=Path, required=True)
    args = parser.parse_args()
    with np.load(args.vectors / f"{REFERENCE}.npz") as file:
        vectors = np.ascontiguousarray(file["vectors"], np.float32)
        hashes, domain = file["content_hash"], file["domain"]
    with one_thread():
        bounds(vectors)
        lifts(args.vectors, ~np.isin(hashes.astype("U1"), FIT_DIGITS), vectors, domain)
