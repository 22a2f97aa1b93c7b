"""A dataset that save_to_disk wrote is read as it lies: one split, or the one that is named."""

import json

import pyarrow as pa
import pytest

from pipelines.ingest.listing import find_files
from pipelines.ingest.readers import READERS, saved
from pipelines.ingest.readers.record import File
from schemas.errors import RecipeError
from tests.pipelines.inputs import FIELDS, good_rows, records, source, text_of, write_rows

NAME = "data-00000-of-00001.arrow"


def test_a_dataset_that_was_saved_to_disk(tmp_path):
    """Written by datasets itself: one split, and several."""
    import datasets

    made = datasets.Dataset.from_dict({"text": [text_of(i) for i in range(10)], "id": [str(i) for i in range(10)]})
    made.save_to_disk(str(tmp_path / "one"), num_shards=3)
    datasets.DatasetDict({"train": made, "test": made.select(range(2))}).save_to_disk(str(tmp_path / "many"))
    for path, split, n, files in ((tmp_path / "one", None, 10, 3), (tmp_path / "many", "train", 10, 1), (tmp_path / "many", "test", 2, 1)):  # fmt: skip
        kind, found = find_files(source(path, split=split))
        assert (kind, len(found)) == ("hf", files)
        read = [r for f in found for r in READERS[kind].records(f, FIELDS)]
        assert [READERS[kind].parser(FIELDS)(r.raw).text.decode() for r in read] == [text_of(i) for i in range(n)]
    with pytest.raises(RecipeError, match=r"set it to one of (test, train|train, test)"):
        find_files(source(tmp_path / "many"))


def test_the_only_split_needs_no_name(tmp_path):
    write_rows(tmp_path / "train" / NAME, good_rows([1]))
    (tmp_path / "dataset_dict.json").write_text('{"splits": ["train"]}')
    assert READERS["hf"].members(str(tmp_path), None) == [f"train/{NAME}"]
    with pytest.raises(RecipeError, match="split is test; set it to one of train"):
        READERS["hf"].members(str(tmp_path), "test")


@pytest.mark.parametrize("name", ["../a.arrow", "/etc/a.arrow", "..", ".", ""])
def test_a_list_that_leads_outside_is_refused(tmp_path, name):
    (tmp_path / "state.json").write_text(json.dumps({"_data_files": [{"filename": name}]}))
    with pytest.raises(RecipeError, match=r"names a file outside its folder: .*; save the dataset again"):
        READERS["hf"].members(str(tmp_path), None)


@pytest.mark.parametrize("key", ["_indices_data_files", "_indices_files"])
def test_a_dataset_that_selects_by_an_index_is_refused(tmp_path, key):
    (tmp_path / "state.json").write_text(json.dumps({"_data_files": [], key: [{"filename": "i.arrow"}]}))
    with pytest.raises(RecipeError, match="selects rows by an index"):
        READERS["hf"].members(str(tmp_path), None)


@pytest.mark.parametrize("state", ["{", "[]", '{"_data_files": [{}]}', '{"_data_files": 3}'])
def test_a_list_that_is_none_is_refused(tmp_path, state):
    (tmp_path / "state.json").write_text(state)
    with pytest.raises(RecipeError, match="not what save_to_disk writes"):
        READERS["hf"].members(str(tmp_path), None)


def test_batches_of_any_length_are_read_in_parts(tmp_path, monkeypatch):
    path = write_rows(tmp_path / NAME, good_rows(range(23)), 10)
    for rows in (1, 4, 64):
        monkeypatch.setattr(saved, "BATCH_ROWS", rows)
        with pa.memory_map(str(path)) as mapped, pa.ipc.open_stream(mapped) as stream:
            assert max(part.num_rows for part in saved.batches(File(NAME, str(path)), stream, ["text"])) == min(
                rows, 10
            )
        read = records(path, "hf")
        assert [r.offset for r in read] == list(range(23))
        assert [READERS["hf"].parser(FIELDS)(r.raw).id for r in read] == [f"d{i}" for i in range(23)]


def test_a_stream_without_its_end_has_a_fault_after_its_rows(tmp_path):
    path = write_rows(tmp_path / NAME, good_rows(range(5)), 2)
    assert saved.has_end(File(NAME, str(path)))
    path.write_bytes(path.read_bytes()[: -len(saved.END)])
    *kept, last = records(path, "hf")
    assert len(kept) == 5
    assert (last.offset, last.fault.reason, last.fault.detail) == (5, "damaged_arrow", "can't be read after row 5 of the file")  # fmt: skip
    path.write_bytes(b"")
    (only,) = records(path, "hf")
    assert (only.fault.reason, only.fault.detail, only.fault.n_bytes) == (
        "damaged_arrow",
        "its schema can't be read",
        0,
    )


def write_arrow(path, table, *, is_file=False, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    new = pa.ipc.new_file if is_file else pa.ipc.new_stream
    with pa.OSFile(str(path), "wb") as sink, new(sink, table.schema, **options) as stream:
        stream.write_table(table, max_chunksize=4)
    return path


def test_a_folder_of_the_cache_of_datasets_is_read_by_split(tmp_path):
    folder = tmp_path / "cache"
    for name in ("corpus-train.arrow", "corpus-test-00000-of-00002.arrow", "corpus-test-00001-of-00002.arrow", "cache-0123.arrow"):  # fmt: skip
        write_arrow(folder / name, pa.table(good_rows([1])))
    (folder / "dataset_info.json").write_text('{"description": ""}')
    for kind in (None, "hf"):
        with pytest.raises(RecipeError, match="split is None; set it to one of test, train"):
            find_files(source(folder, format=kind))
        assert [f.name for f in find_files(source(folder, format=kind, split="train"))[1]] == ["corpus-train.arrow"]
        assert [f.name for f in find_files(source(folder, format=kind, split="test"))[1]] == [
            "corpus-test-00000-of-00002.arrow",
            "corpus-test-00001-of-00002.arrow",
        ]
    for name in folder.glob("corpus-test*"):
        name.unlink()
    kind, files = find_files(source(folder))
    assert (kind, [f.name for f in files]) == ("hf", ["corpus-train.arrow"])
    assert [f.name for f in find_files(source(tmp_path))[1]] == ["cache/corpus-train.arrow"]
    assert len(records(folder / "corpus-train.arrow", "hf")) == 1


@pytest.mark.parametrize("compression", [None, "lz4", "zstd"])
def test_files_of_arrow_ipc_are_read_as_streams_are(tmp_path, compression):
    table, options = pa.table(good_rows(range(23))), pa.ipc.IpcWriteOptions(compression=compression)
    stream = write_arrow(tmp_path / "a.arrow", table, options=options)
    file = write_arrow(tmp_path / "b.feather", table, is_file=True, options=options)
    assert file.read_bytes()[:6] == saved.FILE_MAGIC
    streamed, filed = ([(r.offset, r.raw, r.fault) for r in records(path, "hf")] for path in (stream, file))
    assert streamed == filed
    assert [offset for offset, _, fault in filed if fault is None] == list(range(23))
    assert [saved.n_rows(File(path.name, str(path))) for path in (stream, file)] == [23, 23]
    assert find_files(source(file))[0] == "hf"
    data = file.read_bytes()
    for stop in (0, 3, 8, len(data) // 2, len(data) - 1):
        file.write_bytes(data[:stop])
        *_, last = records(file, "hf")
        assert last.fault.reason == "damaged_arrow", stop


def test_an_empty_table_has_no_record(tmp_path):
    table = pa.table(good_rows([1])).slice(1)
    assert records(write_arrow(tmp_path / "a.arrow", table), "hf") == []
    assert records(write_arrow(tmp_path / "b.arrow", table, is_file=True), "hf") == []


@pytest.mark.parametrize("split", ["../secret", "/etc", "a/b", "..", ".", "", "a\0b", "\ud800"])
def test_a_split_that_leads_outside_is_refused(tmp_path, split):
    write_rows(tmp_path / "secret" / NAME, good_rows([1]))
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "dataset_dict.json").write_text(json.dumps({"splits": ["train", split]}))
    for chosen in (None, "train", "../secret"):
        with pytest.raises(
            RecipeError, match=r"dataset_dict.json: names a split outside its folder: .*; save the dataset"
        ):
            READERS["hf"].members(str(tmp_path / "in"), chosen)


def test_a_split_that_is_a_link_to_another_folder_is_rejected(tmp_path):
    write_rows(tmp_path / "secret" / NAME, good_rows([1]))
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "train").symlink_to(tmp_path / "secret")
    (tmp_path / "in" / "dataset_dict.json").write_text('{"splits": ["train"]}')
    with pytest.raises(RecipeError, match="symlink_outside"):
        find_files(source(tmp_path / "in"))


def test_a_list_nested_too_deeply_is_refused(tmp_path):
    (tmp_path / "state.json").write_text("[" * 100_000)
    with pytest.raises(RecipeError, match="not what save_to_disk writes"):
        READERS["hf"].members(str(tmp_path), None)
