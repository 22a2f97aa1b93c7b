import numpy as np

from pipelines.order.chunk_vectors import SPAN, chunk_keys, items


def test_keys_differ_by_document_and_by_either_end():
    content = np.array([[1, 2], [1, 2], [1, 2], [2, 1], [1, 3]], np.uint64)
    start, stop = np.array([0, 1, 0, 0, 0]), np.array([5, 5, 6, 5, 5])
    keys = chunk_keys(content, start, stop)
    assert len(set(keys.tolist())) == 5
    assert chunk_keys(content[::-1], start[::-1], stop[::-1]).tolist() == keys[::-1].tolist(), "of nothing else"
    halves = keys.view(">u8").reshape(-1, 2)
    assert not (halves[:, :1] == halves[:, 1:]).any(), "128 bits, not 64 twice"


def test_items_have_every_span_once_by_shard_and_row():
    rng = np.random.default_rng(0)
    spans = np.zeros(50, SPAN)
    spans["shard"], spans["row"] = rng.integers(3, size=50), rng.integers(9, size=50)
    spans["start"], spans["key"] = np.arange(50), [f"{i:016}" for i in range(50)]
    tokens = list("abc")
    made = list(items(spans, tokens, 8))
    assert sorted(key for item in made for key in item.spans["key"].tolist()) == sorted(spans["key"].tolist())
    for item in made:
        assert 0 < len(item.spans) <= 8
        assert {tokens[k] for k in item.spans["shard"].tolist()} == {item.tokens}
        assert (np.diff(item.spans["row"]) >= 0).all()
    assert sum(len(item.spans) == 8 for item in made) >= 4
