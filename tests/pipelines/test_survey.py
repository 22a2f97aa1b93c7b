"""What a folder holds is found from names and the beginnings of files."""

import gzip
import json
import lzma

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from pipelines import survey as survey_module
from pipelines.survey import MOST_FILES, survey, unique
from schemas.errors import RecipeError


def jsonl(path, *records):
    path.parent.mkdir(parents=True, exist_ok=True)
    raw = "".join(json.dumps(record) + "\n" for record in records).encode()
    if path.suffix == ".gz":
        raw = gzip.compress(raw)
    elif path.suffix == ".zst":
        raw = zstandard.compress(raw)
    path.write_bytes(raw)


def found(folder):
    return {each.name: each for each in survey(folder).surveys}


@pytest.mark.parametrize("name", ["a.jsonl", "a.jsonl.gz", "a.jsonl.zst"])
def test_fields_of_json_lines(tmp_path, name):
    jsonl(
        tmp_path / name,
        *({"title": "t", "content": "long " * 9, "url": "u", "_id": 3, "licence": "MIT"} for _ in range(300)),
    )
    each = found(tmp_path)["a"]
    assert (each.kind, each.path, each.text, each.n_sampled) == ("jsonl", str(tmp_path / name), "content", 200)
    assert [each.role(role) for role in ("id", "origin", "license_field")] == ["_id", "url", "licence"]
    assert each.n_bytes == (tmp_path / name).stat().st_size
    assert each.text_bytes == each.n_bytes * {"jsonl": 1, "gz": 3, "zst": 3.5}[name.rpartition(".")[2]]


def test_without_a_usual_name_the_text_is_the_field_with_the_longest_texts(tmp_path):
    jsonl(tmp_path / "a.jsonl", {"head": "t", "prose": "long " * 9, "tag": "x"})
    assert found(tmp_path)["a"].text == "prose"
    jsonl(tmp_path / "a.jsonl", {"n": 1})
    assert found(tmp_path)["a"].text is None


def test_a_field_is_not_named_for_two_roles(tmp_path):
    jsonl(tmp_path / "a.jsonl", {"source": "the only text"})
    each = found(tmp_path)["a"]
    assert (each.text, each.role("origin")) == ("source", None)


def test_parquet_and_texts(tmp_path):
    (tmp_path / "books").mkdir()
    pq.write_table(pa.table({"body": ["a b c"], "n": [1]}), tmp_path / "x.parquet")
    (tmp_path / "books" / "one.txt").write_text("text")
    (tmp_path / "books" / "deeper").mkdir()
    (tmp_path / "books" / "deeper" / "two.txt").write_text("text")
    by_name = found(tmp_path)
    assert (by_name["x"].kind, by_name["x"].text) == ("parquet", "body")
    assert (by_name["books"].kind, by_name["books"].path, len(by_name["books"].files)) == (
        "text",
        str(tmp_path / "books"),
        2,
    )


def test_shards_are_one_source_and_other_names_are_others(tmp_path):
    for i in range(3):
        jsonl(tmp_path / f"web-{i:05d}-of-00003.jsonl", {"text": "a"})
    for name in ("c4", "web-more", "enwiki00", "enwiki01"):
        jsonl(tmp_path / f"{name}.jsonl", {"text": "a"})
    by_name = found(tmp_path)
    assert {name: len(each.files) for name, each in by_name.items()} == {"c4": 1, "enwiki": 2, "web": 3, "web-more": 1}
    assert by_name["web"].path == f"{tmp_path}/web-*-of-00003.jsonl"
    assert by_name["enwiki"].path == f"{tmp_path}/enwiki*.jsonl"


def test_a_glob_leaves_other_sources_out(tmp_path):
    for name in ("a-1", "a-2", "a-b"):
        jsonl(tmp_path / f"{name}.jsonl", {"text": "a"})
    assert found(tmp_path)["a"].path == f"{tmp_path}/a-[0-9]*.jsonl"


def test_what_is_left_out(tmp_path):
    jsonl(tmp_path / "a.jsonl", {"text": "a"})
    for name in ("b.pdf", "c.pdf", "README", ".hidden.jsonl"):
        (tmp_path / name).write_text("x")
    (tmp_path / "link.jsonl").symlink_to(tmp_path / "a.jsonl")
    for name in ("actions", "shards", "datasets"):
        jsonl(tmp_path / "root" / name / "x.jsonl", {"text": "of longmix"})
    contents = survey(tmp_path)
    assert [each.name for each in contents.surveys] == ["a"]
    assert contents.passed_over == {".pdf": 2, "no suffix": 1}
    assert contents.is_complete
    assert MOST_FILES > 1


def test_messages_are_samples(tmp_path):
    jsonl(tmp_path / "chat.jsonl", {"messages": [{"role": "user", "content": "q"}], "id": "1"})
    jsonl(tmp_path / "text.jsonl", {"messages": "a text", "text": "b"})
    assert {name: each.is_samples for name, each in found(tmp_path).items()} == {"chat": True, "text": False}


def test_a_damaged_file_has_no_fields(tmp_path):
    (tmp_path / "a.parquet").write_bytes(b"PAR1 no")
    (tmp_path / "b.jsonl.gz").write_bytes(b"no gzip")
    (tmp_path / "c.jsonl").write_bytes(b'{"text": "a"}\n{"text": ')
    assert {name: (each.n_sampled, each.text) for name, each in found(tmp_path).items()} == {
        "a": (0, None), "b": (0, None), "c": (1, "text"),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("make", "message"), [(False, "no such folder; name a folder"), (True, r"it has .pdf \(1\); see")]
)
def test_a_folder_without_files_of_a_format(tmp_path, make, message):
    if make:
        (tmp_path / "x").mkdir()
        (tmp_path / "x" / "a.pdf").write_text("x")
    with pytest.raises(RecipeError, match=message):
        survey(tmp_path / "x")


def test_rows_of_csv_and_arrow(tmp_path):
    for name, raw in (
        ("a.csv", b'title,body\nt,"long text, with a comma"\n'),
        ("a.tsv", b"title\tbody\nt\tlong text\n"),
    ):
        (tmp_path / name).write_bytes(raw)
        (row,) = survey_module.records_of(tmp_path / name, "csv")
        assert (row["title"], row["body"][:9]) == ("t", "long text")
    (tmp_path / "a.csv.xz").write_bytes(lzma.compress(b"body\nx\n"))
    assert list(survey_module.records_of(tmp_path / "a.csv.xz", "csv")) == [{"body": "x"}]
    table = pa.table({"text": ["a", "b"]})
    for name, writer in (("f.arrow", pa.ipc.new_file), ("s.arrow", pa.ipc.new_stream)):
        with pa.OSFile(str(tmp_path / name), "wb") as sink, writer(sink, table.schema) as out:
            out.write_table(table)
        assert list(survey_module.records_of(tmp_path / name, "hf")) == [{"text": "a"}, {"text": "b"}]


def test_names_of_sources():
    names: set[str] = set()
    made = [unique(name, names) for name in ("ä b/c", "b-c", "", "__x", "b-c")]
    assert made == ["b-c", "b-c-2", "source", "x", "b-c-3"]


def texts(folder, *names, n_bytes=100):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("x" * n_bytes)


def test_markdown_and_code_are_texts(tmp_path):
    texts(tmp_path, "src/a.py", "src/deep/b.md", "src/c.txt", "src/logo.png", "top.md")
    contents = survey(tmp_path)
    by_name = {each.name: each for each in contents.surveys}
    assert (by_name["src"].kind, by_name["src"].suffixes) == ("text", (".md", ".py", ".txt"))
    assert (by_name["md"].path, by_name["md"].suffixes) == (str(tmp_path / "top.md"), (".md",))
    assert contents.passed_over == {".png": 1}


def test_a_readme_beside_more_bytes_of_data_is_no_text(tmp_path):
    jsonl(tmp_path / "a.jsonl", {"text": "a" * 100})
    texts(tmp_path, "README.md", n_bytes=100)
    assert list(found(tmp_path)) == ["a"]
    texts(tmp_path, "README.md", n_bytes=200)
    assert sorted(found(tmp_path)) == ["a", "md"]


def test_many_subfolders_of_texts_are_one_source(tmp_path):
    texts(tmp_path / "docs", *(f"{i:02}/a.md" for i in range(12)))
    assert len(found(tmp_path / "docs")) == 12
    texts(tmp_path / "docs", "more/a.md")
    (each,) = survey(tmp_path / "docs").surveys
    assert (each.name, each.path, len(each.files)) == ("docs", str(tmp_path / "docs"), 13)


def test_the_number_of_a_name_is_not_cut_in_two(tmp_path):
    texts(tmp_path, "n098.txt", "n099.txt")
    assert found(tmp_path)["n"].path == f"{tmp_path}/n*.txt"  # not n09*.txt, which a later n100.txt is not


def test_a_hub_snapshot_is_read_through_its_links(tmp_path):
    snapshot = tmp_path / "datasets--me--it" / "snapshots" / "abc"
    snapshot.mkdir(parents=True)
    blobs = tmp_path / "datasets--me--it" / "blobs"
    jsonl(blobs / "beef", {"text": "a"})
    (snapshot / "a.jsonl").symlink_to(blobs / "beef")
    jsonl(tmp_path / "b.jsonl", {"text": "a"})
    (snapshot / "b.jsonl").symlink_to(tmp_path / "b.jsonl")
    assert list(found(snapshot)) == ["a"]


def test_the_descriptions_of_a_saved_dataset_are_no_source(tmp_path):
    for split in ("train", "test"):
        (tmp_path / "ds" / split).mkdir(parents=True)
        table = pa.table({"text": ["a"]})
        with pa.ipc.new_stream(tmp_path / "ds" / split / "data-0.arrow", table.schema) as stream:
            stream.write_table(table)
        jsonl(tmp_path / "ds" / split / "state.json", {"a": "b"})
    jsonl(tmp_path / "ds" / "dataset_dict.json", {"splits": ["train", "test"]})
    jsonl(tmp_path / "other" / "state.json", {"text": "a"})
    assert {name: each.kind for name, each in found(tmp_path).items()} == {"ds": "hf", "other": "jsonl"}


def test_alpaca_records_are_samples(tmp_path):
    jsonl(tmp_path / "alpaca.jsonl", {"instruction": "i", "input": "", "output": "o"})
    assert found(tmp_path)["alpaca"].is_samples


def test_the_suffix_of_a_compressed_file_is_both(tmp_path):
    jsonl(tmp_path / "a.jsonl", {"text": "a"})
    texts(tmp_path, "wiki.xml.gz")
    assert survey(tmp_path).passed_over == {".xml.gz": 1}
