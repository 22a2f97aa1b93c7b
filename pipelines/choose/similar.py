"""Which chosen sample a candidate is similar to, by the share of equal components of their MinHash signatures.

Exact, and not quadratic in practice: two signatures that differ in at most u components agree in at least one of u + 1
disjoint bands. So a candidate is compared only with the chosen samples that share a band with it, and none is missed.
"""

from collections import defaultdict
from typing import Protocol

import numpy as np

from pipelines.shares import share_of


class Chosen(Protocol):
    """The chosen samples so far."""

    def similar_to(self, candidate: int, /) -> int | None: ...  # the first chosen one that is similar

    def add(self, candidate: int, /) -> None: ...


class Anything:
    """A set in which no sample is similar to another."""

    def similar_to(self, _candidate: int, /) -> int | None:
        return None

    def add(self, _candidate: int, /) -> None:
        pass


class Distinct:
    """A set whose samples are less than max_similarity similar to each other.

    Args:
        signatures: [n, n_permutations] of the candidates.
        n_shingles: [n]; a text without shingles is similar to none.
        max_similarity: in (0, 1].
    """

    def __init__(self, signatures: np.ndarray, n_shingles: np.ndarray, max_similarity: float):
        self.signatures, self.n_shingles = signatures, n_shingles
        n_components = signatures.shape[1]
        self.min_equal = share_of(n_components, max_similarity)
        self.n_bands = n_components - self.min_equal + 1
        self.rows = n_components // self.n_bands
        self.buckets: dict[tuple[int, bytes], list[int]] = defaultdict(list)
        self.chosen: list[int] = []

    def bands(self, candidate: int) -> list[tuple[int, bytes]]:
        signature, rows = self.signatures[candidate], self.rows
        return [(band, signature[band * rows : (band + 1) * rows].tobytes()) for band in range(self.n_bands)]

    def similar_to(self, candidate: int) -> int | None:
        if not self.n_shingles[candidate]:
            return None
        places = sorted({place for band in self.bands(candidate) for place in self.buckets.get(band, ())})
        others = np.array([self.chosen[place] for place in places], np.int64)
        n_equal = (self.signatures[others] == self.signatures[candidate]).sum(axis=1)
        similar = np.flatnonzero(n_equal >= self.min_equal)
        return int(others[similar[0]]) if len(similar) else None

    def add(self, candidate: int) -> None:
        if self.n_shingles[candidate]:
            for band in self.bands(candidate):
                self.buckets[band].append(len(self.chosen))
        self.chosen.append(candidate)
