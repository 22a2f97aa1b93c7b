"""Every format gives the same texts, and each has what a reader needs."""

import pytest

from pipelines.ingest.listing import has_format
from pipelines.ingest.readers import READERS, part_before, records_of
from pipelines.ingest.readers.record import File
from pipelines.store import Store
from tests.pipelines.inputs import (
    FIELDS,
    good_rows,
    ingest_here,
    line_of,
    rows,
    source,
    text_hash,
    text_of,
    write_jsonl,
    write_packed,
    write_rows,
)


def test_the_text_is_the_same_from_every_format(tmp_path):
    """And so are the content hashes; only a folder of texts has no ids."""
    store, texts = Store(tmp_path / "root"), [text_of(i) for i in range(30)]
    for suffix in ("", ".gz", ".zst"):
        write_jsonl(tmp_path / "in" / f"j{suffix}" / f"a.jsonl{suffix}", [line_of(i) for i in range(30)])
        for i, text in enumerate(texts):
            write_packed(tmp_path / "in" / f"t{suffix}" / f"{i:02d}.txt{suffix}", text.encode())
    write_rows(tmp_path / "in" / "p" / "a.parquet", good_rows(range(30)), 7)
    write_rows(tmp_path / "in" / "h" / "data-00000-of-00001.arrow", good_rows(range(30)), 7)
    for folder in sorted((tmp_path / "in").iterdir()):
        documents, rejected = ingest_here(source(folder, origin="source"), store)
        found = rows(store, documents)
        assert sorted(row["text"] for row in found) == sorted(texts), folder.name
        assert {row["content_hash"] for row in found} == {text_hash(text) for text in texts}
        assert rows(store, rejected) == []
        assert {row["origin"] for row in found} == ({None} if folder.name.startswith("t") else {"web"})


def test_the_part_of_a_file_before_a_record_is_measured_in_every_format(tmp_path):
    n = 3000
    write_jsonl(tmp_path / "a.jsonl.xz", [line_of(i) for i in range(n)])
    write_packed(tmp_path / "a.csv", b"text\n" + b"".join(b"a %d\n" % (10**8 + i) for i in range(n)))
    write_rows(tmp_path / "a.parquet", good_rows(range(n)), 100)
    write_rows(tmp_path / "a.arrow", good_rows(range(n)), 100)
    for name, kind in (("a.jsonl.xz", "jsonl"), ("a.csv", "csv"), ("a.parquet", "parquet"), ("a.arrow", "hf")):
        path = tmp_path / name
        file = File(name, str(path), path.stat().st_size)
        made = list(records_of(kind, file, FIELDS))
        for share in (0.5, 1.0):
            record = made[int(n * share) - 1]
            assert part_before(kind, file, record) == pytest.approx(share, abs=0.12), name


def test_a_compressed_name_is_of_a_format_that_says_so():
    one = source("a.jsonl")
    for kind, reader in READERS.items():
        for suffix in reader.suffixes:
            assert has_format(f"a{suffix}", kind, one), kind
            assert has_format(f"a{suffix}.gz", kind, one) == reader.may_be_compressed, kind
    assert {kind for kind, reader in READERS.items() if reader.may_be_compressed} == {"jsonl", "csv", "text"}
