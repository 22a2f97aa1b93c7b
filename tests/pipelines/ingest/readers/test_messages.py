"""Messages of Arrow files: what their buffers claim is checked before Arrow allocates it."""

import io
import struct

import pyarrow as pa
import pytest

from pipelines.ingest.readers import messages, saved
from pipelines.ingest.readers.record import File, Unusable
from tests.pipelines.inputs import records

TABLE = pa.table({"text": ["a text that is long enough to be compressed"] * 40, "id": [str(i) for i in range(40)]})
COMPRESSIONS = [None, "lz4", "zstd"]


def written(is_file=False, compression=None, table=TABLE, **options):
    sink = io.BytesIO()
    new = pa.ipc.new_file if is_file else pa.ipc.new_stream
    with new(sink, table.schema, options=pa.ipc.IpcWriteOptions(compression=compression, **options)) as stream:
        stream.write_table(table, max_chunksize=15)
    return sink.getvalue()


def batches(data):
    return list(messages.checked_batches(io.FileIO(write_to(data))))


def write_to(data):
    raise NotImplementedError


@pytest.fixture(autouse=True)
def files(tmp_path, monkeypatch):
    def write(data):
        path = tmp_path / "a.arrow"
        path.write_bytes(data)
        return str(path)

    monkeypatch.setattr("tests.pipelines.ingest.readers.test_messages.write_to", write)


@pytest.mark.parametrize("is_file", [False, True])
@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_the_rows_of_each_batch(is_file, compression):
    assert batches(written(is_file, compression)) == [15, 15, 10]
    encoded = TABLE.set_column(1, "id", TABLE["id"].dictionary_encode())
    assert batches(written(is_file, compression, encoded)) == [15, 15, 10]
    assert batches(written(is_file, compression, use_legacy_format=True, metadata_version=pa.ipc.MetadataVersion.V4) if not compression else written()) == [15, 15, 10]  # fmt: skip
    assert batches(written(is_file, compression, TABLE.slice(0, 0))) == []


@pytest.mark.parametrize("is_file", [False, True])
def test_a_claim_that_no_buffer_can_keep_is_damage_and_no_lack_of_memory(tmp_path, is_file):
    data = bytearray(written(is_file, "zstd"))
    magic = b"\x28\xb5\x2f\xfd"  # of a zstd frame, after the claim
    places = [i for i in range(8, len(data)) if data[i : i + 4] == magic]
    assert len(places) > 3
    for claim in (1 << 60, -2, 1 << 40):
        changed = bytearray(data)
        changed[places[-1] - 8 : places[-1]] = struct.pack("<q", claim)
        with pytest.raises(pa.ArrowInvalid, match="claims"):
            batches(bytes(changed))
        *kept, last = records(saved_as(tmp_path, changed), "hf")
        assert (len(kept), last.fault.reason) == (30, "damaged_arrow")


def saved_as(tmp_path, data):
    path = tmp_path / "b.arrow"
    path.write_bytes(data)
    return path


def test_a_batch_that_decompresses_to_too_much_is_refused(tmp_path, monkeypatch):
    path = saved_as(tmp_path, written(True, "zstd"))
    monkeypatch.setattr(messages, "MAX_BATCH_BYTES", 500)
    (only,) = records(path, "hf")
    assert only.fault.reason == "page_too_large"
    assert "write the file again with smaller batches" in only.fault.detail
    with pytest.raises(Unusable):
        batches(path.read_bytes())
    path = saved_as(tmp_path, written(True))
    assert len(records(path, "hf")) == 40  # not compressed, and so mapped


@pytest.mark.parametrize("is_file", [False, True])
def test_a_file_in_the_order_of_another_machine_is_refused(monkeypatch, is_file):
    data = written(is_file)
    monkeypatch.setattr(messages, "ENDIANNESS", 1)
    with pytest.raises(pa.ArrowInvalid, match="order of another machine"):
        batches(data)


def test_every_end_is_damage_or_the_end_of_the_batches():
    for is_file in (False, True):
        data = written(is_file)
        for stop in range(7, len(data), 7):
            try:
                n = sum(batches(data[:stop]))
            except pa.ArrowInvalid:
                continue
            assert n <= 40
            assert n == 0 or not is_file


def test_rows_are_counted_up_to_the_damage(tmp_path):
    data = written(False)
    path = saved_as(tmp_path, data[: len(data) * 2 // 3])
    assert saved.n_rows(File("b.arrow", str(path))) in (15, 30)
