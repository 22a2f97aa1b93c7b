"""The reference sets in tests/reference/icp, and documents for tests."""

import json
from functools import cache
from pathlib import Path

import numpy as np

from pipelines.keys import mixed
from pipelines.order.orders import OrderDocuments
from pipelines.order.orders.fragments import Fragments

FOLDER = Path(__file__).parents[2] / "reference" / "icp"
SETS = ("rand200", "clus2000", "pypi2000")
MANIFEST = json.loads((FOLDER / "manifest.json").read_text())
EDGE_CASES = json.loads((FOLDER / "edge_cases.json").read_text())


@cache
def arrays(name: str) -> dict[str, np.ndarray]:
    with np.load(FOLDER / f"{name}.npz") as file:
        return dict(file)


def texts(name: str) -> list[str]:
    """The texts of a set. pypi2000 has none: here, those that were dropped equal the text before them."""
    path = FOLDER / f"{name}.texts.json"
    if path.exists():
        return json.loads(path.read_text())
    reference = arrays(name)
    order = reference["released_merged_order"].tolist()
    made = [f"{mixed(np.uint64([i]))[0]:020d}" for i in range(len(order))]
    for document in reference["released_dropped"].tolist():
        made[document] = made[order[order.index(document) - 1]]
    return made


def documents(n: int, vectors: np.ndarray | None = None, seed: int = 0, **more) -> OrderDocuments:
    content = np.stack([np.arange(n, dtype=np.uint64), mixed(np.arange(n, dtype=np.uint64))], axis=1)
    return OrderDocuments(n, content, seed, vectors=vectors, **more)


def unit(vectors: np.ndarray) -> np.ndarray:
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def random_lists(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """ids and similarities [n, c] of a small random graph with ties, -1, repeats, itself and isolated documents."""
    rng = np.random.default_rng(seed)
    n, c = int(rng.integers(1, 60 if seed % 10 else 300)), int(rng.integers(1, 12))
    ids = rng.integers(-1, n, (n, c))
    similarities = rng.integers(-3, 10, (n, c)) / 10 if seed % 2 else rng.uniform(-1, 1, (n, c))
    similarities = -np.sort(-similarities, axis=1)
    isolated = rng.choice(n, n // 10, replace=False)
    ids[isolated] = -1
    ids[np.isin(ids, isolated)] = -1
    return ids, similarities


def random_unit(seed: int, n: int, d: int = 6) -> np.ndarray:
    return unit(np.random.default_rng(seed).standard_normal((n, d)))


def is_permutation(order: np.ndarray, n: int) -> bool:
    return np.array_equal(np.sort(order), np.arange(n))


def links_of(fragments: Fragments) -> dict[int, set[int]]:
    return {i: {j for j in row if j >= 0} for i, row in enumerate(fragments.links.tolist())}
