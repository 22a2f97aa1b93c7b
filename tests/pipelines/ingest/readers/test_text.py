"""A file is one document, whatever it is packed in; a mark at its start is no part of the text."""

import pytest

from pipelines.ingest.readers import READERS, streams
from pipelines.ingest.readers.record import HEAD_BYTES, Fields, Unusable, hash_of
from pipelines.ingest.readers.text import Text
from tests.pipelines.inputs import FIELDS, records, text_of, write_packed

BOM = b"\xef\xbb\xbf"


@pytest.mark.parametrize("suffix", ["", ".gz", ".zst"])
def test_a_file_is_a_record_with_every_byte_of_it(tmp_path, monkeypatch, suffix):
    monkeypatch.setattr(streams, "BLOCK", 7)
    data = (text_of(3) * 9).encode()
    (record,) = records(write_packed(tmp_path / f"a.txt{suffix}", data), "text")
    assert (record.file, record.offset, record.raw, record.fault) == (f"a.txt{suffix}", 0, data, None)


def test_an_empty_file_is_a_record_too(tmp_path):
    """So that it is refused by name, and none goes missing."""
    (record,) = records(write_packed(tmp_path / "a.txt", b""), "text")
    assert (record.raw, record.fault) == (b"", None)


def test_a_text_has_no_id_and_loses_one_mark_at_its_start():
    parse = READERS["text"].parser(FIELDS)
    found = parse(BOM + BOM + "é\n".encode())
    assert (found.text, found.id, found.origin, found.license) == (BOM + "é\n".encode(), None, None, None)
    assert parse(b"a\xef\xbb\xbf").text == b"a" + BOM


@pytest.mark.parametrize(
    ("raw", "reason"), [(b"", "text_empty"), (BOM, "text_empty"), (b"a\0", "nul"), (b"\xff", "not_utf8")]
)
def test_what_is_no_text(raw, reason):
    with pytest.raises(Unusable) as error:
        READERS["text"].parser(FIELDS)(raw)
    assert error.value.reason == reason


def test_a_text_that_is_too_large_or_cut_off_is_a_head_and_a_hash(tmp_path):
    data = b"ab" * 50_000
    path = write_packed(tmp_path / "a.txt", data)
    (large,) = records(path, "text", Fields("text", None, None, None, len(data) - 1))
    assert (large.fault.reason, large.fault.n_bytes, large.raw) == ("too_large", len(data), data[:HEAD_BYTES])
    assert large.fault.record_hash == hash_of(data)
    assert records(path, "text", Fields("text", None, None, None, len(data)))[0].raw == data
    packed = write_packed(tmp_path / "a.txt.gz", data)
    packed.write_bytes(packed.read_bytes()[:-8])
    (torn,) = records(packed, "text")
    assert (torn.fault.reason, torn.fault.n_bytes, torn.fault.record_hash) == ("truncated_gzip", None, hash_of(data))


def test_the_format_has_no_list_of_files_and_no_schema(tmp_path):
    reader = READERS["text"]
    assert isinstance(reader, Text)
    assert reader.members(str(tmp_path), None) is None
    assert reader.schema_error(None, FIELDS) is None
