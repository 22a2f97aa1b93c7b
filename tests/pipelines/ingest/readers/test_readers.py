"""Every reader finds the records that slow and plain code finds, where it says they are."""

import glob
import gzip
import io
import json
import os
import random

import pyarrow as pa
import pytest
import zstandard
from pydantic import ValidationError

from pipelines.ingest.listing import find_files, hashed, translate
from pipelines.ingest.readers import READERS, hub, jsonl, streams
from pipelines.ingest.readers.record import HEAD_BYTES, REASONS, Fields, File, RecordBuffer, Unusable, hash_of
from pipelines.ingest.source import FORMATS, Source
from schemas.errors import RecipeError, StageError
from tests.pipelines.inputs import good_rows, line_of, packed, source, text_of, write_jsonl, write_packed, write_rows

FIELDS = Fields("text", "id", "source", "license", 64_000_000)


def read(path, kind="jsonl", fields=FIELDS):
    return list(READERS[kind].records(File(path.name, str(path)), fields))


# -- bytes


def slow_lines(data: bytes) -> list[tuple[int, bytes]]:
    """(first byte, stripped line) of every line that is not blank, found one byte after another."""
    found, start = [], 0
    for i in range(len(data) + 1):
        if i == len(data) or data[i : i + 1] == b"\n":
            line = data[start:i].removeprefix(jsonl.BOM) if start == 0 else data[start:i]
            if line.strip(b" \t\r"):
                found.append((start, line.strip(b" \t\r")))
            start = i + 1
    return found


def drawn_bytes(seed: int) -> bytes:
    r = random.Random(seed)
    pieces = [
        b"\n",
        b"\r\n",
        b"\n\n",
        b" \n",
        b"",
        b"{}",
        b'{"text": "a"}',
        b"x" * r.randrange(40),
        b"\xff\0",
        b" \t",
        b"\r",
    ]
    start = r.choice([b"", jsonl.BOM])
    return start + b"".join(r.choice(pieces) for _ in range(r.randrange(30)))


@pytest.mark.parametrize("suffix", ["", ".gz", ".zst"])
def test_lines_are_the_slow_ones_wherever_blocks_end(tmp_path, monkeypatch, suffix):
    for seed in range(150):
        data = drawn_bytes(seed)
        monkeypatch.setattr(streams, "BLOCK", 1 + seed % 9)
        monkeypatch.setattr(streams, "GZIP_FEED", 1 + seed % 13)
        monkeypatch.setattr(streams, "ZSTD_FEED", 1 + seed % 11)
        path = write_packed(tmp_path / f"a.jsonl{suffix}", data)
        assert [(r.offset, r.raw) for r in read(path)] == slow_lines(data), f"{seed=}"


def test_the_lines_the_oracle_must_reach():
    drawn = [drawn_bytes(seed) for seed in range(150)]
    assert any(not data for data in drawn)
    assert any(data.startswith(jsonl.BOM) and slow_lines(data)[:1] != [(0, data)] for data in drawn)
    assert any(not data.endswith(b"\n") and b"\r\n" in data for data in drawn)


def test_members_and_frames_follow_one_another(tmp_path):
    lines = [line_of(i) + b"\n" for i in range(9)]
    cut_anywhere = [b"".join(lines)[:100], b"".join(lines)[100:333], b"", b"".join(lines)[333:]]
    skippable = b"\x50\x2a\x4d\x18" + (5).to_bytes(4, "little") + b"hello"
    files = {
        "a.jsonl.gz": b"".join(gzip.compress(part) for part in cut_anywhere) + b"\0" * 40_000,
        "a.jsonl.zst": skippable + b"".join(zstandard.compress(part) for part in cut_anywhere) + skippable,
    }
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
        assert [r.raw + b"\n" for r in read(tmp_path / name)] == lines, name


@pytest.mark.parametrize("name", ["a.jsonl.gz", "a.jsonl.zst"])
def test_a_stream_cut_anywhere_keeps_what_was_whole(tmp_path, name):
    """Cut after each of its bytes: what is kept is a prefix, and of gzip all that zlib gives byte by byte."""
    r = random.Random(1)
    lines = [json.dumps({"text": "".join(r.choices("abcdefgh \n", k=60))}).encode() for _ in range(40)]
    data = packed(b"".join(line + b"\n" for line in lines), name)
    for stop in range(len(data)):
        (tmp_path / name).write_bytes(data[:stop])
        *kept, last = read(tmp_path / name)
        assert [k.raw for k in kept] == lines[: len(kept)]
        assert last.fault.reason == ("truncated_gzip" if name.endswith(".gz") else "truncated_zstd")
        assert last.fault.n_bytes is None
        if name.endswith(".gz"):
            whole = zlib_bytewise(data[:stop])
            assert len(kept) == whole.count(b"\n")
            assert last.raw == whole.rpartition(b"\n")[2]
            assert last.fault.record_hash == hash_of(last.raw)


def zlib_bytewise(data: bytes) -> bytes:
    out = b""
    stream = gzip.GzipFile(fileobj=io.BytesIO(data))
    try:
        while byte := stream.read(1):
            out += byte
    except (EOFError, gzip.BadGzipFile):  # one byte is not even a header
        pass
    return out


def test_what_a_fault_in_gzip_follows_is_kept(tmp_path):
    lines = [line_of(i) for i in range(200)]
    data = bytearray(packed(b"".join(line + b"\n" for line in lines), "a.jsonl.gz"))
    data[-6] ^= 1  # of the checksum
    (tmp_path / "a.jsonl.gz").write_bytes(data)
    *kept, last = read(tmp_path / "a.jsonl.gz")
    assert [k.raw for k in kept] == lines
    assert (last.fault.reason, last.raw) == ("corrupt_gzip", b"")


def test_what_unpacks_to_much_more_is_never_held(tmp_path):
    """300 MB of one character in a few kilobytes: a block of unpacked bytes stays below 34 MB."""
    chunk = b"\0" * (1 << 20)
    zst = zstandard.ZstdCompressor().compressobj()
    (tmp_path / "a.zst").write_bytes(b"".join(zst.compress(chunk) for _ in range(300)) + zst.flush())
    gz = gzip.compress(b"\0" * (64 << 20))
    (tmp_path / "a.gz").write_bytes(gz)
    for name, size in (("a.zst", 300 << 20), ("a.gz", 64 << 20)):
        lengths = [len(block) for block in streams.blocks(str(tmp_path / name), name)]
        assert sum(lengths) == size
        assert max(lengths) < 34 << 20


def test_pieces_are_whole_or_a_head_and_a_hash():
    for seed in range(200):
        r = random.Random(seed)
        parts = [r.randbytes(r.randrange(5)) for _ in range(r.randrange(6))]
        data, most = b"".join(parts), r.randrange(1, 12)
        buffer = RecordBuffer(most)
        for part in parts:
            buffer.add(part)
        record = buffer.record("f", 3)
        if len(data) <= most:
            assert (buffer.data(), record.raw, record.fault) == (data, data, None)
        else:
            assert buffer.data() is None
            assert (record.fault.reason, record.fault.n_bytes) == ("too_large", len(data))
        assert buffer.hash() == hash_of(data)


def test_a_long_record_keeps_its_head_alone():
    buffer = RecordBuffer(100_000)
    for _ in range(200):
        buffer.add(b"abcd" * 1000)
        assert sum(map(len, buffer.pieces)) <= 104_000
    assert len(buffer.record("f", 0).raw) == HEAD_BYTES


# -- JSON


def slow_parse(raw: bytes):
    """What is used of a record, by the standard library alone; None where it can't be used.

    A byte that is not UTF-8 becomes half of a surrogate pair, which does no harm where nobody looks.
    """
    try:
        row = json.loads(raw.decode(errors="surrogateescape"))
        text = row["text"].encode().decode()
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
    labels = [row.get(key) for key in ("id", "source", "license")]
    for value in labels:
        if not (value is None or isinstance(value, str) or (isinstance(value, int) and not isinstance(value, bool))):
            return None
        if isinstance(value, str) and ("\0" in value or value.encode("utf-8", "replace").decode() != value):
            return None
    if not text.strip() or "\0" in text:
        return None
    return (text.encode(), *(None if v in (None, "") else str(v) for v in labels))


def drawn_record(seed: int) -> bytes:
    r = random.Random(seed)
    values = [
        "a",
        "",
        " ",
        "é\n",
        "a\0",
        0,
        -7,
        10**30,
        1.5,
        True,
        None,
        [],
        {"a": [1]},
        "\ud800",
        "\U0001f600",
        "x" * 50,
    ]
    keys = ["text", "text", "text", "id", "source", "license", "other", "t\u00e9xt"]
    row = {r.choice(keys): r.choice(values) for _ in range(r.randrange(6))}
    if r.random() < 0.8:
        row["text"] = r.choice(values[:5] + ["some text"] * 5)
    raw = json.dumps(r.choice([row] * 9 + [[row], "text", 3]), ensure_ascii=r.random() < 0.7).encode(
        "utf-8", "surrogatepass"
    )
    if r.random() < 0.15:
        i = r.randrange(len(raw) + 1)
        raw = raw[:i] + r.choice([b"", b"\xff", b"}", b'"', b",", b"\x01", b"1"]) + raw[i + r.randrange(2) :]
    return raw


def test_the_fast_parser_finds_what_the_slow_one_finds():
    parse = READERS["jsonl"].parser(FIELDS)
    met = set()
    for seed in range(6000):
        raw = drawn_record(seed)
        try:
            found = parse(raw)
        except Unusable as why:
            found = None
            met.add(why.reason)
        got = found and (found.text, found.id, found.origin, found.license)
        assert got == slow_parse(raw), raw
    assert met <= set(REASONS)
    assert met >= {"not_json", "not_an_object", "not_utf8", "lone_surrogate", "text_missing", "text_not_string", "text_empty", "nul", "id_wrong_type", "origin_wrong_type", "license_wrong_type"}  # fmt: skip


def test_what_is_not_used_is_not_checked():
    parse = READERS["jsonl"].parser(FIELDS)
    for raw in (
        b'{"text": "a", "z": "\xff"}', b'{"text": "a", "z": "\\ud800"}', b'{"text": "a", "z": 1e999}',
        b'{"text": 1, "text": "a"}', b'{"text": "b", "text": "a"}', b'{"text": "a", "z": ' + b"[" * 300 + b"]" * 300 + b"}",
    ):  # fmt: skip
        assert parse(raw).text == b"a"


def test_fields_have_the_names_that_the_recipe_gives_them():
    parse = READERS["jsonl"].parser(Fields("content of it", None, "id", None, 1000))
    found = parse(b'{"content of it": "a", "id": 7, "origin": "no", "license": "no"}')
    assert (found.text, found.id, found.origin, found.license) == (b"a", None, "7", None)


# -- rows


@pytest.mark.parametrize("name", ["a.parquet", "data-00000-of-00001.arrow"])
@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.string_view(), pa.binary(), pa.large_binary(), pa.dictionary(pa.int32(), pa.string())], ids=str)  # fmt: skip
def test_rows_of_every_kind_of_string(tmp_path, name, kind):
    texts = [text_of(i) for i in range(7)]
    column = pa.array(texts).dictionary_encode() if pa.types.is_dictionary(kind) else pa.array(texts).cast(kind)
    path = write_rows(
        tmp_path / name, {"n": pa.array(range(7)), "text": column, "id": pa.array([3, 4, None, 5, 6, 7, 2**40])}, 3
    )
    reader = READERS["parquet" if name.endswith("parquet") else "hf"]
    records = read(path, "parquet" if name.endswith("parquet") else "hf")
    assert [r.offset for r in records] == list(range(7))
    found = [reader.parser(FIELDS)(r.raw) for r in records]
    assert [f.text.decode() for f in found] == texts
    assert [f.id for f in found] == ["3", "4", None, "5", "6", "7", str(2**40)]


def test_only_the_columns_that_are_used_are_read(tmp_path, monkeypatch):
    path = write_rows(tmp_path / "a.parquet", {**good_rows(range(5)), "big": pa.array(["x" * 1000] * 5)})
    asked = []
    kept = pa.parquet.ParquetFile.iter_batches
    monkeypatch.setattr(
        pa.parquet.ParquetFile, "iter_batches", lambda self, n, g, c, **k: asked.append(c) or kept(self, n, g, c, **k)
    )
    assert len(read(path, "parquet")) == 5
    assert {column for columns in asked for column in columns} == {"id", "text", "source"}


def test_a_row_too_large_is_a_head_and_a_hash(tmp_path):
    path = write_rows(tmp_path / "a.parquet", {"text": pa.array(["a", "b" * 200_000, "c"])})
    one, two, three = read(path, "parquet", Fields("text", None, None, None, 100_000))
    assert (one.raw, three.raw) == (b"{}\na", b"{}\nc")
    assert (two.fault.reason, two.fault.n_bytes, len(two.raw)) == ("too_large", 200_003, HEAD_BYTES)
    assert two.fault.record_hash == hash_of(b"{}\n" + b"b" * 200_000)


def test_a_dataset_that_was_saved_to_disk(tmp_path):
    """Written by datasets itself: one split, and several."""
    import datasets

    made = datasets.Dataset.from_dict({"text": [text_of(i) for i in range(10)], "id": [str(i) for i in range(10)]})
    made.save_to_disk(str(tmp_path / "one"), num_shards=3)
    datasets.DatasetDict({"train": made, "test": made.select(range(2))}).save_to_disk(str(tmp_path / "many"))
    for path, split, n, files in ((tmp_path / "one", None, 10, 3), (tmp_path / "many", "train", 10, 1), (tmp_path / "many", "test", 2, 1)):  # fmt: skip
        kind, found = find_files(source(path, split=split))
        assert (kind, len(found)) == ("hf", files)
        records = [r for f in found for r in READERS[kind].records(f, FIELDS)]
        assert [READERS[kind].parser(FIELDS)(r.raw).text.decode() for r in records] == [text_of(i) for i in range(n)]
    with pytest.raises(RecipeError, match=r"set it to one of (test, train|train, test)"):
        find_files(source(tmp_path / "many"))


# -- the hub


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


def test_the_hub_is_streamed_in_parts_at_a_commit(monkeypatch):
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
    assert hashed(files, 1) == files
    assert len({f.hash for f in files}) == 2
    parse = READERS["hub"].parser(FIELDS)
    found = [parse(r.raw).id for f in files for r in READERS["hub"].records(f, FIELDS)]
    assert sorted(map(int, found)) == list(range(150))
    assert calls[0] == (("org/set", "en"), {"split": "train", "revision": "c0ffee", "streaming": True})
    assert os.environ["HF_HUB_DISABLE_TELEMETRY"] == "1"


def test_without_a_network_the_hub_says_so_in_one_line(monkeypatch):
    import huggingface_hub

    def refuse(*_, **__):
        raise huggingface_hub.errors.OfflineModeIsEnabled("offline mode is on\nsecond line")

    monkeypatch.setattr(huggingface_hub.HfApi, "dataset_info", refuse)
    with pytest.raises(
        StageError, match=r"org/set: the hub can't be reached \(offline mode is on\); run the build again, or save"
    ) as error:
        hub.parts("org/set", None, "train", None)
    assert "\n" not in str(error.value)


# -- which files


def slow_names(root) -> list[str]:
    names = sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())
    return [name for name in names if not any(part.startswith(".") for part in name.split("/"))]


@pytest.fixture
def tree(tmp_path):
    for name in (
        "b.jsonl",
        "a.jsonl.gz",
        "x/c.jsonl",
        "x/y/d.jsonl.zst",
        "x/[z]/e.jsonl",
        ".hidden/f.jsonl",
        "x/.g.jsonl",
        "B.JSONL",
        "notes.md",
    ):
        write_jsonl(tmp_path / name, [line_of(1)])
    return tmp_path


def test_a_folder_is_all_of_its_files_but_the_hidden(tree):
    kind, files = find_files(source(tree))
    assert kind == "jsonl"
    assert [f.name for f in files] == [name for name in slow_names(tree) if name != "notes.md"]


@pytest.mark.parametrize(
    "pattern",
    [
        "*.jsonl",
        "**/*.jsonl",
        "x/*",
        "x/**/*.jsonl*",
        "?.jsonl",
        "[ab].jsonl*",
        "[!a].jsonl",
        "x/[[]z]/*",
        "**/d*",
        "x/**",
    ],
)
def test_a_glob_is_the_standard_librarys(tree, pattern):
    wanted = sorted(n for n in glob.glob(pattern, root_dir=tree, recursive=True) if (tree / n).is_file())  # noqa: PTH207 has root_dir
    root = tree / pattern.split("/")[0] if pattern.startswith("x/") else tree
    _, files = find_files(source(tree / pattern, format="jsonl"))
    assert [os.path.relpath(root / f.name, tree) for f in files] == wanted
    assert wanted, pattern


def test_a_glob_keeps_to_what_it_says():
    assert translate(["*.a+b"]) == r"[^/]*\.a\+b"


def test_a_link_inside_is_read_and_one_that_the_recipe_names_is_followed(tree, tmp_path_factory):
    (tree / "link.jsonl").symlink_to(tree / "b.jsonl")
    (tree / "again").symlink_to(tree / "x" / "y")
    names = [f.name for f in find_files(source(tree))[1] if not f.fault]
    assert {"link.jsonl", "again/d.jsonl.zst"} <= set(names)
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (elsewhere / "named.jsonl").symlink_to(tree / "b.jsonl")
    (elsewhere / "folder").symlink_to(tree)
    for path in (elsewhere / "named.jsonl", elsewhere / "folder"):
        assert all(f.fault is None for f in find_files(source(path))[1])


def test_the_suffixes_of_texts_are_the_sources(tree):
    (tree / "a.py").write_text("print(1)")
    assert [f.name for f in find_files(source(tree, format="text", text_suffixes=(".py", ".md")))[1]] == [
        "a.py",
        "notes.md",
    ]
    assert [f.name for f in find_files(source(tree / "*.py", format="text"))[1]] == ["a.py"]


def test_formats_are_the_readers_that_have_files():
    assert set(FORMATS) | {"hub"} == set(READERS)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"path": None}, "a path or a hub id"),
        ({"hub": "a/b"}, "a path or a hub id"),
        ({"path": None, "hub": "a/b"}, "needs a split"),
        ({"path": None, "hub": "a/b", "split": "train", "format": "jsonl"}, "takes no format"),
        ({"path": None, "hub": "a/b/c", "split": "train"}, "match pattern"),
        ({"format": "csv"}, "'csv' is none of jsonl, parquet, text, hf"),
        ({"config": "en"}, "belong to a hub id"),
        ({"id": "text"}, "named for two"),
        ({"text_suffixes": ("txt",)}, "text_suffixes: txt"),
        ({"text_suffixes": ()}, "text_suffixes: none"),
        ({"name": "a/b"}, "match pattern"),
        ({"max_record_bytes": 0}, "greater than 0"),
        ({"shuffle": True}, "not permitted"),
    ],
)
def test_a_source_that_can_not_be(changes, said):
    with pytest.raises(ValidationError, match=said):
        source("x", **changes)


def test_where_a_source_lies_is_no_part_of_its_records(tmp_path):
    assert source(tmp_path / "a").key() == source(tmp_path / "b", split="x").key()
    for change in (
        {"text": "t"},
        {"id": None},
        {"domain": "x"},
        {"license": "MIT"},
        {"license_field": "l"},
        {"origin": "o"},
        {"max_record_bytes": 9},
        {"name": "t"},
    ):
        assert source("a", **change).key() != source("a").key()
