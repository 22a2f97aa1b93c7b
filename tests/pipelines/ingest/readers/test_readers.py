"""Every format gives the same texts, and each has what a reader needs."""

from pipelines.ingest.listing import has_format
from pipelines.ingest.readers import READERS
from pipelines.store import Store
from tests.pipelines.inputs import (
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


def test_a_compressed_name_is_of_a_format_that_says_so():
    one = source("a.jsonl")
    for kind, reader in READERS.items():
        for suffix in reader.suffixes:
            assert has_format(f"a{suffix}", kind, one), kind
            assert has_format(f"a{suffix}.gz", kind, one) == reader.may_be_compressed, kind
    assert {kind for kind, reader in READERS.items() if reader.may_be_compressed} == {"jsonl", "csv", "text"}
