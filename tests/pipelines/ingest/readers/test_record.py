"""A record is whole or a head, a length and a hash; a field is sane or named by what is wrong with it."""

import random

import pytest

from pipelines.ingest.readers.record import (
    HEAD_BYTES,
    Fault,
    File,
    Record,
    RecordBuffer,
    Unusable,
    check_text,
    decoded,
    hash_of,
    json_type,
    rejected_file,
)


def test_pieces_are_whole_or_a_head_and_a_hash():
    for seed in range(200):
        r = random.Random(seed)
        parts = [r.randbytes(r.randrange(5)) for _ in range(r.randrange(6))]
        data, most = b"".join(parts), r.randrange(1, 12)
        buffer = RecordBuffer(most)
        for part in parts:
            buffer.add(part)
        record = buffer.record("f", 3)
        if len(data) <= most:
            assert (buffer.data(), record.raw, record.fault) == (data, data, None)
        else:
            assert buffer.data() is None
            assert (record.fault.reason, record.fault.n_bytes) == ("too_large", len(data))
        assert buffer.hash() == hash_of(data)


def test_a_long_record_keeps_its_head_alone():
    buffer = RecordBuffer(100_000)
    for _ in range(200):
        buffer.add(b"abcd" * 1000)
        assert sum(map(len, buffer.pieces)) <= 104_000
    assert len(buffer.record("f", 0).raw) == HEAD_BYTES


def test_a_record_that_reading_stopped_in_has_no_length():
    buffer = RecordBuffer(100)
    buffer.add(b"begun")
    record = buffer.record("f", 7, Unusable("truncated_gzip", "in member 0"))
    assert record == Record("f", 7, b"begun", Fault("truncated_gzip", "in member 0", None, hash_of(b"begun")))


def test_a_file_of_which_nothing_can_be_used_is_one_record(tmp_path):
    data = b"x" * (HEAD_BYTES + 1)
    (tmp_path / "a").write_bytes(data)
    record = rejected_file(File("a", str(tmp_path / "a")), Unusable("damaged_parquet", "why"))
    assert record == Record("a", 0, data[:-1], Fault("damaged_parquet", "why", len(data), hash_of(data)))


# -- fields


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a", None), (" a", None), ("\u200b", None),  # of width zero, and no white space
        ("", "text_empty: no character"), (" \n\t\u00a0\u2028", "text_empty: white space alone"),
        ("a" * 1_000 + "\0", "nul: at character 1,000 of the text"),
    ],
)  # fmt: skip
def test_a_text_has_a_character_and_no_nul(text, expected):
    try:
        found = check_text(text)
    except Unusable as why:
        found = f"{why.reason}: {why.detail}"
    assert found == expected


def test_bytes_are_utf_8_or_the_first_that_is_not_is_named():
    assert decoded("aé".encode(), "text") == "aé"
    with pytest.raises(Unusable) as error:
        decoded(b"a\xc3\xa9\xe9", "origin")
    assert (error.value.reason, error.value.detail) == ("not_utf8", "byte 0xe9 at 3 of the origin")


def test_the_kinds_of_json_values_have_words():
    values = [{}, [], "", True, 1.5, 1, None]
    words = ["an object", "a list", "a string", "true or false", "a number", "an integer", "null"]
    assert [json_type(value) for value in values] == words
