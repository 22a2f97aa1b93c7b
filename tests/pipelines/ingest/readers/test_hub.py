"""A dataset of the hub is streamed in parts at one commit; without a network there is one line."""

import os

import pyarrow as pa
import pytest

from pipelines.ingest.listing import find_files
from pipelines.ingest.raw_hashes import with_hashes
from pipelines.ingest.readers import READERS, hub
from pipelines.ingest.source import Source
from pipelines.store import Store
from schemas.errors import StageError
from tests.pipelines.inputs import WANTED, engine_of, text_of


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
    parse = READERS["hub"].parser(WANTED)
    found = [parse(r.raw).id for f in files for r in READERS["hub"].records(f, WANTED)]
    assert sorted(map(int, found)) == list(range(150))
    assert calls[0] == (("org/set", "en"), {"split": "train", "revision": "c0ffee", "streaming": True})
    assert os.environ["HF_HUB_DISABLE_TELEMETRY"] == "1"


def test_without_a_network_the_hub_says_so_in_one_line(monkeypatch):
    import huggingface_hub

    def refuse(*_, **__):
        raise huggingface_hub.errors.OfflineModeIsEnabled("offline mode is on\nsecond line")

    monkeypatch.setattr(huggingface_hub.HfApi, "dataset_info", refuse)
    with pytest.raises(StageError, match=r"org/set: the hub can't be reached \(offline mode is on\); or save") as error:
        hub.parts("org/set", None, "train", None)
    assert "\n" not in str(error.value)
