"""CSV is read as the csv module reads it, with offsets, in bounded memory; what is no row of the header is rejected."""

import csv
import io
import json
import random

import pytest

from pipelines.ingest.readers import READERS, csv_rows, streams
from pipelines.ingest.readers.record import Fields, File, Unusable
from tests.pipelines.inputs import FIELDS, records, write_packed

HOSTILE = ['"', ",", "\n", "\r\n", ";", "\t", "a", "é", " ", '""', "b c"]


def written(table: list[list[str]], **options: str) -> bytes:
    out = io.StringIO(newline="")
    csv.writer(out, **options).writerows(table)
    return out.getvalue().encode()


def test_rows_are_those_of_the_csv_module(tmp_path, monkeypatch):
    for seed in range(40):
        r = random.Random(seed)
        header = ["id", "text", "x"]
        table = [["".join(r.choices(HOSTILE, k=r.randrange(6))) for _ in header] for _ in range(r.randrange(6))]
        end = r.choice(["\n", "\r\n"])
        data = written([header, *table], lineterminator=end)
        path = write_packed(tmp_path / "a.csv", (b"\xef\xbb\xbf" if seed % 3 == 0 else b"") + data)
        for block in (1, 3, 1 << 20):
            monkeypatch.setattr(streams, "BLOCK", block)
            made = records(path, "csv")
            assert [json.loads(record.raw) for record in made] == [
                dict(zip(header, row, strict=True)) for row in table
            ], f"{seed=} {block=}"
        starts = [path.read_bytes()[record.offset :] for record in made]
        assert [next(csv.reader(io.StringIO(start.decode(), newline=""))) for start in starts] == table, f"{seed=}"


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.tsv", b"id\ttext\n1\ta, b; c\n"),
        ("a.tab.gz", b"id\ttext\n1\ta, b; c\n"),
        ("a.TSV.XZ", b"id\ttext\n1\ta, b; c\n"),
        ("a.csv", b'\n \nid;text\n1;"a, b; c"\n'),
        ("a.csv.bz2", b'id\ttext\r\n1\t"a, b; c"'),
        ("a.csv", 'id,text\n1,"a, b; c"\n'.encode("utf-16")),
    ],
)
def test_the_separator_is_that_of_the_name_or_of_the_header(tmp_path, name, data):
    (record,) = records(write_packed(tmp_path / name.lower(), data), "csv")
    parsed = READERS["csv"].parser(FIELDS)(record.raw)
    assert (parsed.text, parsed.id) == (b"a, b; c", "1")
    assert csv_rows.is_tabbed(name) == ("tsv" in name.lower() or "tab" in name)


def test_a_row_that_does_not_fit_the_header_is_readable_in_rejected(tmp_path):
    path = write_packed(tmp_path / "a.csv", b'id,text\n1\n\n2,b\n3,c,d\n4,"e')
    short, good, long, open_end = records(path, "csv")
    assert [(r.fault.reason, r.fault.detail, r.raw) for r in (short, long, open_end)] == [
        ("csv_columns", "1 value; the header has 2", b'["1"]'),
        ("csv_columns", "3 values; the header has 2", b'["3","c","d"]'),
        ("csv_columns", "the file ends inside quotes", b'["4","e"]'),
    ]
    assert good.raw == b'{"id":"2","text":"b"}'
    (only,) = records(write_packed(path, b'id,text\n5,"a\n6,b\n'), "csv")
    assert only.fault.detail == "the file ends inside quotes"
    assert [r.raw for r in records(write_packed(path, b'id,text\n1,5" disk\n'), "csv")] == [
        b'{"id":"1","text":"5\\" disk"}'
    ]
    assert [r.raw for r in records(write_packed(path, b'id,text\n1,5" disk'), "csv")] == [
        b'{"id":"1","text":"5\\" disk"}'
    ]


def test_bytes_that_are_not_utf8_count_where_they_are_used(tmp_path):
    path = write_packed(tmp_path / "a.csv", b"id,text,x\n1,a,caf\xe9\n2,caf\xe9,b\n")
    parse = READERS["csv"].parser(FIELDS)
    first, second = records(path, "csv")
    assert parse(first.raw).text == b"a"
    with pytest.raises(Unusable, match="not_utf8"):
        parse(second.raw)


def test_a_row_that_is_too_large_ends_where_its_quotes_do(tmp_path):
    fields = Fields("text", "id", None, None, 1000)
    big = b'2,"' + b'x,y "" z\n' * 500 + b'"\n'
    path = write_packed(tmp_path / "a.csv", b"id,text\n1,a\n" + big + b"3,b\n" + b"4," + b"c" * 3000 + b"\n5,d\n")
    first, large, third, line, last = records(path, "csv", fields)
    assert [json.loads(r.raw)["id"] for r in (first, third, last)] == ["1", "3", "5"]
    assert [(r.fault.reason, r.fault.n_bytes, r.offset) for r in (large, line)] == [
        ("too_large", len(big), 12),
        ("too_large", 3003, 16 + len(big)),
    ]
    assert all(len(piece) <= 1001 + 100 for piece in csv_rows.pieces(iter([b"a" * 100] * 99), 1000))


def test_a_file_without_the_column_is_rejected_and_an_empty_one_has_no_record(tmp_path):
    reader, other = READERS["csv"], write_packed(tmp_path / "b.csv", b"id,content\n1,a\n2,b\n")
    why = reader.schema_error(File("b.csv", str(other)), FIELDS)
    assert (why.reason, why.detail) == ("text_missing", "no column 'text'; there are id, content")
    (rejected,) = records(other, "csv")
    assert rejected.fault.reason == "text_missing"
    for data in (b"", b"\n\n", b"id,text\n"):
        path = write_packed(tmp_path / "a.csv", data)
        assert reader.schema_error(File("a.csv", str(path)), FIELDS) is None
        assert records(path, "csv") == []


def test_a_truncated_stream_keeps_its_whole_rows(tmp_path):
    data = written([["id", "text"], *([str(i), "a, b"] for i in range(500))])
    path = write_packed(tmp_path / "a.csv.gz", data)
    path.write_bytes(path.read_bytes()[:-20])
    *kept, last = records(path, "csv")
    assert last.fault.reason == "truncated_gzip"
    assert kept
    assert [json.loads(r.raw)["id"] for r in kept] == [str(i) for i in range(len(kept))]
