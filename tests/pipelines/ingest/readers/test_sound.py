"""Buffers that lead out of bounds are refused before a value is read; sound columns of every type are not."""

import numpy as np
import pyarrow as pa
import pytest

from pipelines.ingest.readers.sound import check
from tests.pipelines.ingest.readers.test_columns import ARROW_ALONE, COLUMNS


def ints(values, kind=np.int32):
    return pa.py_buffer(np.array(values, kind).tobytes())


WORDS = pa.array(["a", "b", "c"])
BAD_WORDS = pa.Array.from_buffers(pa.string(), 3, [None, ints([0, 1, 99_999, 3]), pa.py_buffer(b"abc")])


def listed(kind, starts, n=2, bits=np.int32):
    return pa.Array.from_buffers(kind, n, [None, ints(starts, bits)], children=[WORDS])


def view_of(length, place):
    """A string view whose text lies in a buffer of 20 bytes, at `place`."""
    view = np.array([length, 0, 0, place], np.int32)
    return pa.Array.from_buffers(pa.string_view(), 1, [None, pa.py_buffer(view.tobytes()), pa.py_buffer(b"\0" * 20)])


def dictionary(indices, words=WORDS):
    places = pa.Array.from_buffers(pa.int32(), len(indices), [None, ints(indices)])
    return pa.DictionaryArray.from_arrays(places, words, safe=False)


def list_view(starts, sizes):
    return pa.Array.from_buffers(pa.list_view(pa.string()), 2, [None, ints(starts), ints(sizes)], children=[WORDS])


def union(codes, offsets):
    kind = pa.dense_union([pa.field("a", pa.string()), pa.field("b", pa.string())])
    return pa.Array.from_buffers(kind, len(codes), [None, ints(codes, np.int8), ints(offsets)], children=[WORDS, WORDS])


def runs(ends, n=4):
    parts = [pa.Array.from_buffers(pa.int32(), len(ends), [None, ints(ends)]), WORDS.slice(0, len(ends))]
    return pa.Array.from_buffers(pa.run_end_encoded(pa.int32(), pa.string()), n, [None], children=parts)


MAP = pa.map_(pa.string(), pa.string())
BAD = {
    "offsets of strings": lambda: BAD_WORDS,
    "in a list": lambda: pa.Array.from_buffers(pa.list_(pa.string()), 1, [None, ints([0, 3])], children=[BAD_WORDS]),
    "in a fixed list": lambda: pa.Array.from_buffers(pa.list_(pa.string(), 3), 1, [None], children=[BAD_WORDS]),
    "in a struct": lambda: pa.Array.from_buffers(pa.struct([("a", pa.string())]), 3, [None], children=[BAD_WORDS]),
    "in a dictionary": lambda: dictionary([0, 1], BAD_WORDS),
    "a buffer too short": lambda: pa.Array.from_buffers(pa.int64(), 9, [None, ints([1])]),
    "a validity buffer too short": lambda: pa.Array.from_buffers(pa.int8(), 9, [pa.py_buffer(b"\1"), ints(range(9), np.int8)]),
    "a list that ends beyond its items": lambda: listed(pa.list_(pa.string()), [0, 1, 4]),
    "a list that begins before its items": lambda: listed(pa.list_(pa.string()), [-1, 1, 3]),
    "a list of negative length": lambda: listed(pa.list_(pa.string()), [0, 3, 2]),
    "a large list": lambda: listed(pa.large_list(pa.string()), [0, 2**40, 3], bits=np.int64),
    "a list view that begins before": lambda: list_view([-1, 0], [1, 1]),
    "a list view of negative length": lambda: list_view([1, 0], [-1, 1]),
    "a list view that ends beyond": lambda: list_view([0, 2], [1, 2]),
    "an index beyond": lambda: dictionary([0, 3]),
    "an index below": lambda: dictionary([-1, 2]),
    "a view beyond": lambda: view_of(15, 6),
    "a view of negative length": lambda: view_of(-15, 0),
    "a type that a union lacks": lambda: union([0, 2], [0, 0]),
    "an offset beyond in a union": lambda: union([0, 1], [0, 3]),
    "an offset below in a union": lambda: union([0, 1], [-1, 0]),
    "runs that end too early": lambda: runs([1, 3]),
    "runs that go back": lambda: runs([3, 2, 4]),
    "runs that do not grow": lambda: runs([2, 2, 4]),
    "runs that begin with none": lambda: runs([0, 2, 4]),
}  # fmt: skip
SOUND = {
    "list": lambda: listed(pa.list_(pa.string()), [0, 1, 3]),
    "list view": lambda: list_view([2, 0], [1, 3]),
    "dictionary": lambda: dictionary([0, 2]),
    "view": lambda: view_of(15, 5),
    "union": lambda: union([0, 1], [2, 2]),
    "runs": lambda: runs([1, 4]),
    "not UTF-8": lambda: pa.array([b"\xff"]).view(pa.string()),
    "not UTF-8 in a list": lambda: pa.array([[b"\xff"]]).view(pa.list_(pa.string())),
    "empty": lambda: pa.array([], pa.list_(pa.string())),
}


@pytest.mark.parametrize("name", BAD)
def test_what_leads_out_of_bounds_is_refused(name):
    with pytest.raises((pa.ArrowInvalid, IndexError)):
        check(BAD[name]())


@pytest.mark.parametrize("name", SOUND)
def test_the_same_within_bounds_is_not(name):
    check(SOUND[name]())


@pytest.mark.parametrize("name", [*COLUMNS, *ARROW_ALONE])
def test_sound_columns_of_every_type_are_not_refused_nor_are_slices_of_them(name):
    column, _ = {**COLUMNS, **ARROW_ALONE}[name]
    for array in (column, column.slice(1), column.slice(0, 0)):
        check(array)


def test_deep_nesting_is_refused():
    column = pa.array([1])
    for _ in range(130):
        column = pa.Array.from_buffers(pa.list_(column.type), 1, [None, ints([0, 1])], children=[column])
    assert column.type.num_fields == 1
    with pytest.raises(pa.ArrowInvalid, match="too deeply"):
        check(column)
