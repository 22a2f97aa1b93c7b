"""The headers of pages, as pyarrow writes them, and of files that are damaged."""

import random
from io import BytesIO

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines.ingest.readers.pages import DELTA_BYTE_ARRAY, headers, integer, pages_of, struct

TEXTS = [f"text {i % 700} " * (1 + i % 9) for i in range(5000)]
LAYOUTS = {
    "plain": {"use_dictionary": False},
    "dictionary": {},
    "dictionary, then plain": {"dictionary_pagesize_limit": 10_000},
    "version 2": {"data_page_version": "2.0", "compression": "zstd"},
    "delta": {"use_dictionary": False, "column_encoding": "DELTA_BYTE_ARRAY"},
    "checksums": {"write_page_checksum": True, "compression": "none"},
    "statistics": {"write_statistics": True, "write_page_index": True},
}


@pytest.fixture(params=LAYOUTS)
def written(request, tmp_path):
    """(layout, file, metadata of its only column chunk)"""
    path = tmp_path / "a.parquet"
    table = pa.table({"text": pa.array([None, *TEXTS])})
    pq.write_table(table, path, data_page_size=8_000, write_batch_size=100, **LAYOUTS[request.param])
    return request.param, path, pq.read_metadata(path).row_group(0).column(0)


def test_pages_are_those_of_the_column(written):
    layout, path, chunk = written
    with open(path, "rb") as stream:
        pages = pages_of(stream, chunk)
        kinds = [kind for kind, *_ in headers(stream, chunk)]
    assert len(pages.n_values) >= 2
    assert pages.n_values.sum() == chunk.num_values == 5001
    assert (pages.dictionary_bytes > 0) == chunk.has_dictionary_page == (kinds[0] == 2)
    assert pages.largest_bytes == max(pages.dictionary_bytes, pages.n_bytes.max())
    with_headers = chunk.total_uncompressed_size - pages.n_bytes.sum() - pages.dictionary_bytes
    assert 15 * len(kinds) <= with_headers <= 300 * len(kinds)
    assert (layout == "delta") == (set(pages.encodings) == {DELTA_BYTE_ARRAY})


def test_what_a_value_decodes_to(written):
    """At least its mean length in each page, and at most twice that where nothing repeats."""
    layout, path, chunk = written
    with open(path, "rb") as stream:
        pages = pages_of(stream, chunk)
    lengths = np.array([0, *map(len, TEXTS)])
    ends = np.cumsum(pages.n_values)
    for first, stop, decoded in zip(ends - pages.n_values, ends, pages.decoded(max(map(len, TEXTS))), strict=True):
        assert lengths[first:stop].mean() <= decoded
        assert layout != "plain" or decoded <= 2 * lengths[first:stop].mean()


def test_a_damaged_header_ends_the_pages(written):
    _, path, chunk = written
    data = bytearray(path.read_bytes())
    intact = len(list(headers(BytesIO(data), chunk)))
    cases = random.Random(3)
    fewer = 0
    for _ in range(300):
        broken = bytearray(data)
        for _ in range(40):
            broken[cases.randrange(4, len(data))] = cases.randrange(256)
        pages = list(headers(BytesIO(broken[: cases.randrange(len(data))]), chunk))
        fewer += len(pages) < intact
        assert all(min(page) >= 0 for page in pages)
    assert fewer > 100
    assert list(headers(BytesIO(b""), chunk)) == []


def test_a_header_has_every_type():
    header = (
        b"\x15\x01\x11\x12\x16\x04" + b"\x17" + b"8 bytes." + b"\x18\x02ab" + b"\x1c\x15\x06\x00" + b"\x05\x28\x07\x00"
    )
    fields, stop = struct(header, 0)
    assert fields == {1: -1, 2: True, 3: False, 4: 2, 5: None, 6: b"ab", 7: {1: 3}, 20: -4}
    assert stop == len(header)
    assert [integer(data, 0) for data in (b"\x00", b"\x01", b"\x02", b"\xfe\x01", b"\xff\x01")] == [
        (0, 1), (-1, 1), (1, 1), (127, 2), (-128, 2),
    ]  # fmt: skip
    with pytest.raises(ValueError, match="11"):
        struct(b"\x1b\x00", 0)
    with pytest.raises(IndexError):
        struct(b"\x15", 0)
