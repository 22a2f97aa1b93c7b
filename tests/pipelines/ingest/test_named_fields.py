"""Which fields a first record has, by format; what a value other than the default is."""

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines.ingest.named_fields import absent, fields_of, has_value
from pipelines.store import Store
from schemas.tables import DOCUMENTS
from tests.pipelines.inputs import source, write_rows
from tests.schemas.test_laws import document


def test_the_fields_of_a_first_record(tmp_path):
    (tmp_path / "a.jsonl").write_text("[1]\nno\n" + json.dumps({"text": "t", "b": 1}) + "\n")
    assert fields_of(source(tmp_path / "a.jsonl"), Store(tmp_path / "root")) == ["text", "b"]
    pq.write_table(pa.table({"text": ["t"], "c": [1]}), tmp_path / "a.parquet")
    assert fields_of(source(tmp_path / "a.parquet"), Store(tmp_path / "root")) == ["text", "c"]
    write_rows(tmp_path / "saved" / "a.arrow", {"text": pa.array(["t"]), "d": pa.array([1])})
    assert fields_of(source(tmp_path / "saved"), Store(tmp_path / "root")) == ["text", "d"]
    (tmp_path / "a.txt").write_text("t")
    assert fields_of(source(tmp_path / "a.txt"), Store(tmp_path / "root")) == []
    assert fields_of(source(tmp_path / "none"), Store(tmp_path / "root")) == []


def test_the_text_is_not_suggested(tmp_path):
    this = source(tmp_path, origin="tex")
    assert absent(this, "origin", ["text"], "record") == "source s: origin = 'tex', and no record has a value of it"
    assert absent(this, "origin", ["text", "texture"], "record").endswith("did you mean texture?")


@pytest.mark.parametrize(
    ("values", "default", "expected"),
    [
        ([None, None], None, False), ([None, "a"], None, True), (["a", "a"], "a", False), (["a", "b"], "a", True),
        ([None, "a"], "a", False), ([], None, False),
    ],
)  # fmt: skip
def test_a_value_is_one_other_than_the_default(tmp_path, values, default, expected):
    store = Store(tmp_path, run=None)
    rows = [{**document(f"d{i}", "x", i), "license": value} for i, value in enumerate(values)]
    shard = store.write("DOCUMENTS", pa.Table.from_pylist(rows, schema=DOCUMENTS))
    assert has_value(shard, "license", default, store) is expected
