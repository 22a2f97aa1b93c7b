"""Documents and tokens are counted by domain, kind and length bucket."""

import numpy as np

from pipelines.plan.cells import cells_of, kind_of
from schemas.lengths import BUCKETS, EDGES, bucket_of


def test_cells_count_by_hand():
    n_tokens = np.array([1, 1023, 1024, 2048, 4095, 4096, 131_071, 131_072, 10**6])
    names = ["0-1K", "0-1K", "1-2K", "2-4K", "2-4K", "4-8K", "64-128K", "128K+", "128K+"]
    assert [BUCKETS[b] for b in bucket_of(n_tokens)] == names
    assert EDGES.tolist() == [1024, 2048, 4096, 8192, 16384, 32768, 65536, 131072]
    domain = np.array([0, 0, 2, 2, 2, 2, 2, 2, 2])
    cells = cells_of(["x", "y", "z"], domain, n_tokens, np.minimum(n_tokens, 5_000), 3_000)
    assert cells.domains == ("x", "y", "z")
    assert cells.documents[0, 0].tolist() == [2, 0, 0, 0, 0, 0, 0, 0, 0]
    assert cells.documents[2, 0].tolist() == [0, 1, 1, 0, 0, 0, 0, 0, 0]
    assert cells.documents[2, 1].tolist() == [0, 0, 1, 1, 0, 0, 0, 1, 2]
    assert cells.tokens[2, 1].tolist() == [0, 0, 4095, 4096, 0, 0, 0, 5_000, 10_000]
    assert cells.largest.tolist() == [1023, 0, 5_000]


def test_a_document_of_exactly_long_tokens_is_long():
    assert kind_of(np.array([0, 49, 50, 51]), 50).tolist() == [0, 0, 1, 1]
