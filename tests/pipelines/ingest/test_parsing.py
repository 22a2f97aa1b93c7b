"""A document is what its record says, and its identity is a hash that anyone can make."""

from hashlib import blake2b

from pipelines.ingest.parsing import identity
from pipelines.store import Store
from tests.pipelines.inputs import ingest_here, line_of, rows, source, text_hash, text_of, write_jsonl


def test_a_document_is_what_the_record_says(tmp_path):
    store = Store(tmp_path / "root")
    path = write_jsonl(
        tmp_path / "in" / "a.jsonl", [line_of(3), b'{"text": "b", "id": 7, "lic": "CC0"}', b'{"text": "c", "id": ""}']
    )
    found = source(path, origin="source", license="MIT", license_field="lic", domain="web", name="mine")
    documents, rejected = ingest_here(found, store)
    a, b, c = rows(store, documents)
    assert rows(store, rejected) == []
    id_of = identity("mine")
    assert a == {
        "document_id": id_of("d3", "a.jsonl", text_hash(text_of(3))), "content_hash": text_hash(text_of(3)), "source": "mine",
        "origin": "web", "domain": "web", "license": "MIT", "file": "a.jsonl", "record": 0,
        "n_bytes": len(text_of(3).encode()), "text": text_of(3),
    }  # fmt: skip
    assert (b["document_id"], b["origin"], b["license"]) == (id_of("7", "", text_hash("b")), None, "CC0")
    assert c["document_id"] == id_of(None, "a.jsonl", text_hash("c"))


def test_an_identity_is_a_hash_that_anyone_can_make():
    whole = b"4:book" + b"2:id2:d1" + b"c0ffee"
    assert identity("book")("d1", "a.txt", "c0ffee") == blake2b(whole, digest_size=16).hexdigest()
    assert (
        identity("book")(None, "a.txt", "c0ffee") == blake2b(b"4:book4:file5:a.txtc0ffee", digest_size=16).hexdigest()
    )


def test_no_two_places_have_one_identity():
    """Names that begin and end alike: where one part ends and the next begins must show."""
    words = ["a", "aa", "a2", "2:id1:a", "1:a", "", "a4:file", "é"]
    parts = [
        (source_, own, file, h)
        for source_ in words
        for own in [None, *words[:5]]
        for file in words
        for h in ("x", "1:x")
    ]
    seen = {}
    for source_, own, file, h in parts:
        key = (source_, ("file", file) if own is None else ("id", own), h)
        assert seen.setdefault(identity(source_)(own, file, h), key) == key
