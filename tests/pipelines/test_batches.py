import itertools
import random

import pyarrow as pa

from pipelines.batches import batches


def test_every_text_is_in_one_batch_in_order():
    for seed in range(40):
        rng = random.Random(seed)
        texts = ["é" * rng.choice([0, 1, 5, 12, 100]) + str(i) for i in range(rng.randrange(20))]
        array = pa.array(["left out", *texts], pa.large_string()).slice(1)
        lists = [batch.to_pylist() for batch in batches(array, 50)]
        assert list(itertools.chain(*lists)) == texts
        sizes = [[len(text.encode()) for text in batch] for batch in lists]
        assert all(len(batch) == 1 or sum(batch) <= 50 for batch in sizes), f"{seed=}"
        full = [sum(batch) + after[0] for batch, after in itertools.pairwise(sizes)]
        assert all(size > 50 for size in full), "a batch ends where the next text does not fit"


def test_exactly_as_many_bytes_fit():
    assert [len(batch) for batch in batches(pa.array(["ab", "cd", "e"], pa.large_string()), 4)] == [2, 1]
