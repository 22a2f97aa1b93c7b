"""A dataset of the hub is streamed in parts at one commit; without a network there is one line."""

import os

import msgspec
import pyarrow as pa
import pytest

from pipelines.ingest.listing import find_files
from pipelines.ingest.raw_hashes import with_hashes
from pipelines.ingest.readers import READERS, hub
from pipelines.ingest.readers.hub import Part
from pipelines.ingest.readers.record import File
from pipelines.ingest.source import Source
from pipelines.store import Store
from schemas.errors import RecipeError, StageError
from tests.pipelines.inputs import FIELDS, engine_of, text_of


class FakeStream:
    """What load_dataset streams, of two parts."""

    num_shards, column_names = 2, ["text", "id"]

    def __init__(self, rows):
        self.rows = rows

    def shard(self, num_shards, index):
        return FakeStream(self.rows[index::num_shards])

    def with_format(self, kind):
        assert kind == "arrow"
        return self

    def iter(self, batch_size):
        for i in range(0, len(self.rows), batch_size):
            yield pa.Table.from_pylist(self.rows[i : i + batch_size])


def test_the_hub_is_streamed_in_parts_at_a_commit(tmp_path, monkeypatch):
    import datasets
    import huggingface_hub

    rows = [{"text": text_of(i), "id": str(i)} for i in range(150)]
    calls = []

    def load_dataset(*names, **options):
        calls.append((names, options))
        return FakeStream(rows)

    class Info:
        sha = "c0ffee"

    monkeypatch.setattr(huggingface_hub.HfApi, "dataset_info", lambda *_, **__: Info)
    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    kind, files = find_files(Source(name="h", domain="d", hub="org/set", config="en", split="train"))
    assert (kind, [f.name for f in files]) == ("hub", ["en/train-00000-of-00002", "en/train-00001-of-00002"])
    assert with_hashes(files, engine_of(Store(tmp_path))) == files  # a commit is a hash already
    assert len({f.hash for f in files}) == 2
    parse = READERS["hub"].parser(FIELDS)
    found = [parse(r.raw).id for f in files for r in READERS["hub"].records(f, FIELDS)]
    assert sorted(map(int, found)) == list(range(150))
    assert calls[0] == (("org/set", "en"), {"split": "train", "revision": "c0ffee", "streaming": True})
    assert os.environ["HF_HUB_DISABLE_TELEMETRY"] == "1"


def test_without_a_network_the_hub_says_so_in_one_line(monkeypatch):
    import huggingface_hub

    def refuse(*_, **__):
        raise huggingface_hub.errors.OfflineModeIsEnabled("offline mode is on\nsecond line")

    monkeypatch.setattr(huggingface_hub.HfApi, "dataset_info", refuse)
    with pytest.raises(
        StageError, match=r"^org/set: HF_HUB_OFFLINE is set, and .* lacks the dataset; unset it, or save the dataset"
    ) as error:
        hub.parts("org/set", None, "train", None)
    assert "\n" not in str(error.value)


class Breaking(FakeStream):
    def iter(self, batch_size):
        yield pa.Table.from_pylist(self.rows[:batch_size])
        raise OSError("connection reset\nby somebody")


def file_of(**changes) -> File:
    place = Part("org/set", "en", "train", "c0ffee", 0, 1)._replace(**changes)
    return File("en/train-00000-of-00001", msgspec.json.encode(place).decode())


def test_a_stream_that_breaks_off_is_an_error_with_the_last_row(monkeypatch):
    """Not a short dataset: what came would be taken for all of it."""
    rows = [{"text": text_of(i), "id": str(i)} for i in range(hub.BATCH_ROWS + 1)]
    monkeypatch.setattr(hub, "open_split", lambda _: Breaking(rows))
    taken = []
    with pytest.raises(
        StageError,
        match=r"^org/set: the download failed \(OSError: connection reset by somebody\); .*; reading en/train-.* failed after row 64$",
    ):
        taken.extend(READERS["hub"].records(file_of(), FIELDS))
    assert [r.offset for r in taken] == list(range(hub.BATCH_ROWS))


def test_a_dataset_without_the_column_is_refused(monkeypatch):
    monkeypatch.setattr(hub, "open_split", lambda _: FakeStream([{"content": "a"}]))
    with pytest.raises(
        RecipeError, match=r"^org/set: no column 'text'; there are content; set the source's text to its text column$"
    ):
        list(READERS["hub"].records(file_of(), FIELDS))
    monkeypatch.setattr(FakeStream, "column_names", ["content"])
    why = READERS["hub"].schema_error(file_of(), FIELDS)
    assert (why.reason, why.detail) == ("text_missing", "no column 'text'; there are content")
    monkeypatch.setattr(FakeStream, "column_names", None)
    assert READERS["hub"].schema_error(file_of(), FIELDS) is None


def test_a_name_that_the_hub_does_not_have_is_the_recipes_fault(monkeypatch):
    import huggingface_hub

    def refuse(*_, **__):
        raise huggingface_hub.errors.HFValidationError("Repo id must be so\nand so")

    monkeypatch.setattr(huggingface_hub.HfApi, "dataset_info", refuse)
    with pytest.raises(
        RecipeError, match=r"^org/set: not an id of the hub \(Repo id must be so and so\); write OWNER/NAME"
    ):
        hub.parts("org/set", None, "train", None)


def test_a_commit_config_split_or_part_is_another_file(monkeypatch):
    import huggingface_hub

    class Info:
        sha = "c0ffee"

    monkeypatch.setattr(huggingface_hub.HfApi, "dataset_info", lambda *_, **__: Info)
    monkeypatch.setattr(hub, "open_split", lambda _: FakeStream([]))
    hashes = [f.hash for config, split in ((None, "train"), ("en", "train"), ("en", "test")) for f in hub.parts("org/set", config, split, None)]  # fmt: skip
    Info.sha = "decaf"
    hashes += [f.hash for f in hub.parts("org/set", None, "train", None)]
    assert len(set(hashes)) == len(hashes) == 8
