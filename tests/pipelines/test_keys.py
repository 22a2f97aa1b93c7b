"""Keys depend on content and a seed alone, and never change: draws and orders of published mixes follow from them."""

import random

import numpy as np
import pyarrow as pa
import pytest

from pipelines.keys import ascending, contents, keyed, mixed, salt
from schemas.errors import SchemaError

HASHES = [f"{random.Random(seed).getrandbits(128):032x}" for seed in range(40)] + [
    "0" * 32,
    "f" * 32,
    "0" * 16 + "f" * 16,
]
MASK = 2**64 - 1


def slow_mixed(x):
    """SplitMix64 in Python's own integers."""
    x = (x + 0x9E3779B97F4A7C15) & MASK
    x = ((x ^ x >> 30) * 0xBF58476D1CE4E5B9) & MASK
    x = ((x ^ x >> 27) * 0x94D049BB133111EB) & MASK
    return x ^ x >> 31


def test_hashes_become_numbers_in_the_same_order():
    column = pa.chunked_array([HASHES[:3], HASHES[3:]])
    numbers = [(int(high) << 64) | int(low) for high, low in contents(column)]
    assert numbers == [int(h, 16) for h in HASHES]
    assert sorted(range(len(HASHES)), key=numbers.__getitem__) == sorted(range(len(HASHES)), key=HASHES.__getitem__)
    assert np.array_equal(contents(pa.array(HASHES).slice(5, 9)), contents(pa.array(HASHES[5:14])))
    assert contents(pa.array([], pa.string())).shape == (0, 2)


@pytest.mark.parametrize("bad", ["abc", "g" * 32, "A" * 32, "a" * 31 + "é", "a" * 33])
def test_what_is_no_content_hash_is_refused(bad):
    with pytest.raises(SchemaError, match=r"^content_hash: a value is not"):
        contents(pa.array(["a" * 32, bad]))


def test_a_key_is_the_slow_one():
    content = contents(pa.array(HASHES))
    assert mixed(content[:, 0]).tolist() == [slow_mixed(int(x)) for x in content[:, 0]]
    one = salt("draw", 3, 0)
    expected = [slow_mixed(slow_mixed(int(h, 16) >> 64 ^ int(one)) ^ int(h, 16) & MASK) for h in HASHES]
    assert keyed(content, one).tolist() == expected
    many = np.array([salt("x", i) for i in range(len(HASHES))], np.uint64)
    assert keyed(content, many).tolist() == [int(keyed(content[i : i + 1], many[i])[0]) for i in range(len(HASHES))]


def test_keys_never_change():
    assert int(salt("draw", 3, 0)) == 6465641692229953922
    assert keyed(contents(pa.array(["0123456789abcdef" * 2])), salt("pack", 0, 1)).tolist() == [11448659203318133892]


def test_a_salt_is_its_parts_in_their_places():
    parts = [("a", 1), ("a", 2), ("a", "11"), ("a1", 1), ("b", 1), ("a", 1, 1)]
    assert len({int(salt(*each)) for each in parts}) == len(parts)
    assert salt("a", 1) == salt("a", "1")


def test_equal_keys_are_ordered_by_content():
    rng = np.random.default_rng(0)
    for n_keys in (1, 3, 10**9):
        keys = rng.integers(0, n_keys, len(HASHES)).astype(np.uint64)
        mess = rng.permutation(len(HASHES))
        order = ascending(keys, contents(pa.array(HASHES)))
        assert order.tolist() == sorted(range(len(HASHES)), key=lambda i: (keys[i], HASHES[i]))
        again = ascending(keys[mess], contents(pa.array([HASHES[i] for i in mess])))
        assert mess[again].tolist() == order.tolist()
    assert ascending(np.array([], np.uint64), contents(pa.array([], pa.string()))).tolist() == []
