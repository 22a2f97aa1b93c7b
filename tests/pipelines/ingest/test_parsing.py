"""A document is what its record says, and its identity is a hash that anyone can make."""

from hashlib import blake2b

import pytest

from pipelines.ingest import parsing
from pipelines.ingest.parsing import documents_of, identity, parse_pieces, rejected_pieces
from pipelines.ingest.readers.record import HEAD_BYTES, Fault, Parsed, Record, Unusable, hash_of
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
        "record_id": "d3", "origin": "web", "domain": "web", "license": "MIT", "file": "a.jsonl", "record": 0,
        "n_bytes": len(text_of(3).encode()), "text": text_of(3),
    }  # fmt: skip
    assert (b["record_id"], c["record_id"]) == ("7", None)
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


# -- pieces


def parsed(raw: bytes) -> Parsed:
    """A stand-in format: the bytes are the text, and say by their first letter what is wrong with them."""
    if raw.startswith(b"!"):
        raise Unusable("not_json", raw.decode())
    return Parsed(raw, None, None, None)


def mixed_records(n: int) -> list[Record]:
    """Good ones, bad ones, and some that the reader could not hold."""
    fault = Fault("too_large", "9 bytes; max_record_bytes is 3", 9, "ab" * 16)
    return [
        Record(f"f{i % 2}", i, b"t%d" % i if i % 3 else b"!%d" % i, fault if i % 5 == 4 else None) for i in range(n)
    ]


@pytest.mark.parametrize("piece_bytes", [1, 700, 1 << 20])
def test_pieces_hold_every_usable_record_in_order_and_the_rest_is_named(monkeypatch, piece_bytes):
    monkeypatch.setattr(parsing, "PIECE_BYTES", piece_bytes)
    records, unusable = mixed_records(30), []
    pieces = list(parse_pieces(records, source("in"), parsed, unusable))
    good = [i for i in range(30) if i % 3 and i % 5 != 4]
    assert [row for piece in pieces for row in piece["record"].to_pylist()] == good
    assert [row for piece in pieces for row in piece["text"].to_pylist()] == [f"t{i}" for i in good]
    assert [row for piece in pieces for row in piece["file"].to_pylist()] == [f"f{i % 2}" for i in good]
    assert [i for i, _, _ in unusable] == [i for i in range(30) if i not in good]
    assert {reason for _, reason, _ in unusable} == {"not_json", "too_large"}
    assert len(pieces) == {1: 24, 700: 8, 1 << 20: 1}[piece_bytes]  # of 24 records of 258 bytes that were parsed


def test_a_rejected_row_keeps_the_records_head_length_and_hash(monkeypatch):
    records, unusable = [*mixed_records(5), Record("f", 9, b"x" * (HEAD_BYTES + 1))], []
    list(parse_pieces(records[:5], source("in"), parsed, unusable))
    unusable.append((5, "nul", "in the id"))
    for piece_bytes in (1, parsing.PIECE_BYTES):
        monkeypatch.setattr(parsing, "PIECE_BYTES", piece_bytes)
        pieces = list(rejected_pieces(records, source("in", name="s"), unusable))
        assert len(pieces) == (4 if piece_bytes == 1 else 1)
        rows_ = [row for piece in pieces for row in piece.to_pylist()]
        assert [(row["source"], row["file"], row["record"], row["reason"]) for row in rows_] == [
            ("s", "f0", 0, "not_json"), ("s", "f1", 3, "not_json"), ("s", "f0", 4, "too_large"), ("s", "f", 5, "nul"),
        ]  # fmt: skip
        assert rows_[0]["head"] == b"!0"
        assert (rows_[0]["n_bytes"], rows_[0]["record_hash"]) == (2, hash_of(b"!0"))
        assert (rows_[2]["n_bytes"], rows_[2]["record_hash"]) == (9, "ab" * 16)
        assert (len(rows_[3]["head"]), rows_[3]["n_bytes"]) == (HEAD_BYTES, HEAD_BYTES + 1)


def test_the_license_of_a_record_comes_before_that_of_its_source():
    found = [Parsed(b"a", None, None, "CC0"), Parsed(b"b", None, None, None)]
    records = [Record("f", 0, b"a"), Record("f", 1, b"b")]
    table = documents_of(found, [0, 1], records, source("in", license="MIT"))
    assert table["license"].to_pylist() == ["CC0", "MIT"]
    assert table["n_bytes"].to_pylist() == [1, 1]
