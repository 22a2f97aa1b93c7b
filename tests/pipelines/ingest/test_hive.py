"""A label that a record lacks is the key of this name in its file's folders."""

import pyarrow as pa
import pytest

from pipelines.ingest.hive import keys_of
from pipelines.store import Store
from tests.pipelines.inputs import ingest_here, rows, source, write_jsonl, write_rows


@pytest.mark.parametrize(
    ("file", "expected"),
    [
        ("a.parquet", {}),
        ("lang=de/a.parquet", {"lang": "de"}),
        ("x/lang=de/year=2020/a=b.parquet", {"lang": "de", "year": "2020"}),
        ("lang=a%2Fb%20c/x=1=2/a", {"lang": "a/b c", "x": "1=2"}),
        ("lang=__HIVE_DEFAULT_PARTITION__/y=/=z/w=%00/a", {}),
        ("l=a/l=b/a", {"l": "b"}),
    ],
)
def test_the_keys_of_a_file(file, expected):
    assert keys_of(file) == expected


def test_labels_of_folders_are_those_of_records_without_them(tmp_path):
    write_rows(tmp_path / "in" / "license=MIT" / "lang=de" / "a.parquet", {"text": pa.array(["a", "b"])})
    write_rows(tmp_path / "in" / "license=GPL" / "b.parquet", {"text": pa.array(["c"]), "license": pa.array(["BSD"])})
    write_rows(tmp_path / "in" / "c.parquet", {"text": pa.array(["d"])})
    one = source(tmp_path / "in", license_field="license", license="none", origin="lang")
    documents, _ = ingest_here(one, Store(tmp_path / "root"))
    made = {row["text"]: (row["license"], row["origin"]) for row in rows(Store(tmp_path / "root"), documents)}
    assert made == {"a": ("MIT", "de"), "b": ("MIT", "de"), "c": ("BSD", None), "d": ("none", None)}


def test_an_id_of_a_folder_is_part_of_identity(tmp_path):
    ids = {}
    for key in ("id", "other"):
        write_jsonl(tmp_path / key / "id=7" / "a.jsonl", [b'{"text": "a"}', b'{"text": "b", "id": "8"}'])
        store = Store(tmp_path / f"root-{key}")
        documents, _ = ingest_here(source(tmp_path / key, id=key), store)
        ids[key] = {row["text"]: row["document_id"] for row in rows(store, documents)}
    write_jsonl(tmp_path / "plain" / "x.jsonl", [b'{"text": "a", "id": "7"}', b'{"text": "b", "id": "8"}'])
    store = Store(tmp_path / "root-plain")
    documents, _ = ingest_here(source(tmp_path / "plain"), store)
    assert ids["id"] == {row["text"]: row["document_id"] for row in rows(store, documents)} != ids["other"]


def test_odd_keys_are_labels_or_none_and_lead_nowhere():
    assert keys_of("license=..%2F..%2Fsecret/a.parquet") == {"license": "../../secret"}  # a label, never a path
    assert keys_of("license=%00/x=/=y/a.parquet") == {}
    assert keys_of("license=%ff/a.parquet") == {"license": "\ufffd"}
    assert keys_of("a=b=c/a.parquet") == {"a": "b=c"}
