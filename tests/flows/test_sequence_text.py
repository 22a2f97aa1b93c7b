import pytest

from flows import sequence_text
from flows.tables import WIDTH


def segment(**more):
    return {
        "n_tokens": 10, "document_start": 0, "document_stop": 10, "epoch": 0, "sequence_start": 5, "sequence_stop": 15,
        "domain": "book", "document_id": "d" * 32, "source": "s", "file": "f.jsonl", "record": 3, "first_byte": None,
        "origin": None, "license": None, "n_pad": 0,
        "path_position": None, "similarity_to_previous": None, "restarts": None, "near_set": None, "is_ordered": False,
        "is_chunk": False, "after_document_id": None, "after_start": None, "chunk_similarity": None, **more,
    }  # fmt: skip


def test_a_segment_names_its_document_its_part_and_its_place():
    assert sequence_text.segment(segment(), []) == [
        "  [5, 15)  book, a complete document",
        f"    document {'d' * 32} of source s",
        "    f.jsonl, record 3 of the shard at byte 0",
        "    origin -, license -",
    ]
    cut = sequence_text.segment(
        segment(document_stop=9, epoch=1, first_byte=7_000, license="MIT"), ["It\nbegins", "it ends"]
    )
    assert cut[0] == "  [5, 15)  book, tokens [0, 9) of 10, copy 2"
    assert cut[2].endswith("at byte 7,000")
    assert cut[3] == "    origin -, license MIT"
    assert (
        sequence_text.segment(segment(n_pad=1), [])[0]
        == "  [5, 15)  book, a complete document, then 1 pad or marker token"
    )
    assert cut[4:] == ["    begins 'It\\nbegins'", "    ends 'it ends'"]
    assert sequence_text.segment(segment(), ["all"])[4:] == ["    text 'all'"]
    assert max(map(len, sequence_text.segment(segment(), ["word " * 100] * 2))) <= WIDTH


def ordered(**more):
    return segment(**{"is_ordered": True, "path_position": 5, "similarity_to_previous": 0.5, "restarts": False, **more})


BEFORE = ordered(path_position=4, document_id="e")


@pytest.mark.parametrize(
    ("row", "earlier", "reason"),
    [
        (segment(), [], ""),
        (ordered(), [], "place 5 of the path; the sequence begins here"),
        (ordered(path_position=0), [ordered(path_position=-1)], "place 0 of the path, its beginning"),
        (ordered(), [BEFORE], "place 5 of the path; a neighbour of the document before it, cosine 0.500"),
        (ordered(), [BEFORE, ordered(path_position=3, document_id="f")], "place 5 of the path; does not follow place 4 here"),
        (ordered(restarts=True), [BEFORE], "place 5 of the path; the path restarts here, cosine 0.500"),
        (ordered(similarity_to_previous=None), [BEFORE], "place 5 of the path; follows the document before it"),
        (ordered(document_start=4), [ordered(document_stop=4)], "continues the document of the segment before it"),
        (ordered(document_start=4), [ordered(document_stop=4), BEFORE], "continues the document of [5, 15)"),
        (ordered(document_start=4), [ordered(document_stop=4, epoch=1), BEFORE], "place 5 of the path; its document begins in another sequence"),
        (ordered(document_start=4, epoch=1, path_position=None), [ordered(document_stop=4, epoch=1)], "continues the document of the segment before it"),
        (ordered(document_start=4, path_position=0), [], "place 0 of the path; its document begins in another sequence"),
        (ordered(epoch=1, path_position=None), [BEFORE], "a further copy, packed apart from the others"),
        (ordered(is_chunk=True), [BEFORE], "a document at place 5 of the path"),
        (ordered(is_chunk=True, document_start=4), [], "the next chunk of a document at place 5 of the path"),
        (ordered(is_chunk=True, document_start=4, after_document_id="e", after_start=2_048, chunk_similarity=0.25), [ordered(document_stop=4), BEFORE], "a neighbour of the chunk of e that begins at its token 2,048, cosine 0.250"),
        (ordered(path_position=None, near_set="e"), [], "a near copy of e, packed apart from it"),
    ],
)  # fmt: skip
def test_a_segment_says_why_it_stands_where_it_does(row, earlier, reason):
    assert sequence_text.reason(row, earlier) == reason
    lines = sequence_text.segment(row, [], earlier)
    assert " ".join(line.strip() for line in lines[4:]) == reason
    assert max(map(len, lines)) <= WIDTH
