"""Vectors of length 1 for tests."""

import numpy as np


def unit(n: int, dimensions: int, seed: int, n_clusters: int | None = None, spread: float = 0.5) -> np.ndarray:
    """[n, dimensions] float32, at random or around n_clusters centres."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, dimensions))
    if n_clusters:
        x = rng.normal(size=(n_clusters, dimensions))[rng.integers(n_clusters, size=n)] + spread * x
    return (x / np.linalg.norm(x, axis=1, keepdims=True)).astype(np.float32)
