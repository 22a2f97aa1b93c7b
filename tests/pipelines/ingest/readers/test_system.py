"""What the machine lacks while a source is read stops the build, whatever reads, and is never stored as a rejection."""

import builtins
import errno
import gzip
import zlib
from pathlib import Path

import pyarrow as pa
import pytest
import zstandard

from pipelines.ingest import groups_of, ingest_group, listing, raw_hashes
from pipelines.ingest.readers import READERS, parquet, rows, saved, streams
from pipelines.ingest.readers.record import File
from pipelines.ingest.readers.system import LACKS, raise_lack, raise_system_error
from pipelines.store import Store
from schemas.errors import StageError
from tests.pipelines.inputs import SMALL, engine_of, good_rows, ingest_here, line_of, source, write_jsonl, write_rows

ERRORS = {
    "python": MemoryError(),
    "arrow": pa.ArrowMemoryError("malloc of size 64 failed"),
    "codec": OSError("ZSTD decompression failed: Allocation error : not enough memory"),
    "mmap": OSError("Memory mapping file failed: Cannot allocate memory"),
    "thread": RuntimeError("can't start new thread"),
    **{errno.errorcode[number]: OSError(number, "of the system") for number in (errno.EIO, errno.EMFILE)},
}


def files(folder: Path, kind: str) -> Path:
    """A file of a kind; a Parquet file with a dictionary so large that its longest value is looked up."""
    if kind == "parquet":
        texts = [text * 20_000 for text in ("a", "b")] * 4
        write_rows(folder / "a.parquet", {"text": pa.array(texts), "id": pa.array(range(8))}, 8)
    elif kind == "hf":
        write_rows(folder / "data-00000-of-00001.arrow", good_rows(range(8)))
    else:
        write_jsonl(folder / f"a.{kind}", [line_of(i) for i in range(8)])
    return folder


def calls(kind: str) -> list[tuple[object, str]]:
    """Where an error may come from: (module or class, name)."""
    table = [(rows, "columns_of"), (rows, "texts_of"), (rows, "labels_of"), (rows, "check_text")]
    return {
        "parquet": [
            (pa.parquet.ParquetFile, "__init__"), (pa.parquet.ParquetFile, "iter_batches"), (parquet, "pages_of"),
            (parquet, "longest_value"), (parquet, "batch_rows"), *table,
        ],
        "hf": [(pa, "memory_map"), (pa.ipc, "open_stream"), (saved, "batches"), (saved, "has_end"), *table],
        "jsonl": [(streams, "open")],
        "jsonl.gz": [(streams, "open"), (zlib, "decompressobj")],
        "jsonl.zst": [(streams, "open"), (zstandard, "ZstdDecompressor")],
        "txt": [(streams, "open")],
        "txt.gz": [(streams, "open"), (zlib, "decompressobj")],
    }[kind]  # fmt: skip


CALLS = [(kind, *call) for kind in ("parquet", "hf", "jsonl", "jsonl.gz", "jsonl.zst", "txt", "txt.gz") for call in calls(kind)]  # fmt: skip


@pytest.mark.parametrize(("kind", "module", "name"), CALLS, ids=lambda x: getattr(x, "__name__", x))
def test_a_lack_stops_the_build_and_the_next_one_reads_all(tmp_path, monkeypatch, kind, module, name):
    one = source(files(tmp_path / "in", kind), format="hf" if kind == "hf" else None)
    monkeypatch.setattr(parquet, "BATCH_BYTES", 1000)
    store = Store(tmp_path / "root")
    for error in ERRORS.values():

        def fail(*_, error=error, **__):
            raise error

        with monkeypatch.context() as patch:
            patch.setattr(module, name, fail, raising=False)
            with pytest.raises(StageError) as caught:
                ingest_here(one, store)
        assert "\n" not in str(caught.value)
        assert str(tmp_path / "in") in str(caught.value) or str(caught.value).startswith("sources.s: ")
        assert str(caught.value).endswith("and run the build again: it resumes")
    documents, rejected = ingest_here(one, store)
    assert sum(shard.n_rows for shard in documents) == (1 if kind.startswith("txt") else 8)
    assert sum(shard.n_rows for shard in rejected) == 0


@pytest.mark.parametrize("late", [False, True], ids=["first", "later"])
def test_a_decompressor_without_memory_is_no_damage(tmp_path, monkeypatch, late):
    """zlib and zstd report it as they report damage; after the first block too."""

    class Fails:
        def __init__(self, inner, error):
            self.inner, self.error, self.n = inner, error, 0

        def __getattr__(self, name):
            return getattr(self.inner, name)

        def copy(self):
            return self.inner.copy()

        def decompress(self, block):
            self.n += 1
            if self.n > late:
                raise self.error
            return self.inner.decompress(block)

    monkeypatch.setattr(streams, "GZIP_FEED", 20)
    monkeypatch.setattr(streams, "ZSTD_FEED", 20)
    (tmp_path / "a.gz").write_bytes(gzip.compress(bytes(range(256)) * 9))
    (tmp_path / "a.zst").write_bytes(zstandard.compress(bytes(range(256)) * 9))
    objects, frames = zlib.decompressobj, zstandard.ZstdDecompressor

    class Frames:
        def __init__(self, **options):
            pass

        def decompressobj(self, **options):
            error = zstandard.ZstdError("zstd decompressor error: Allocation error : not enough memory")
            return Fails(frames().decompressobj(**options), error)

    error = zlib.error("Error -4 while decompressing data")
    monkeypatch.setattr(zlib, "decompressobj", lambda **o: Fails(objects(**o), error))
    monkeypatch.setattr(zstandard, "ZstdDecompressor", Frames)
    for name in ("a.gz", "a.zst"):
        with pytest.raises(StageError, match=f"{name}: memory is exhausted"):
            list(streams.blocks(File(name, str(tmp_path / name))))


def test_a_lack_while_files_are_listed_or_hashed_is_no_fault_of_a_file(tmp_path, monkeypatch):
    one = source(files(tmp_path / "in", "jsonl"))
    engine = engine_of(Store(tmp_path / "root"))
    for number in LACKS:

        def fail(path, *_, number=number, **__):
            raise OSError(number, "of the system", str(path))

        for module, name in ((listing.os, "scandir"), (listing.os, "stat"), (raw_hashes, "open")):
            with monkeypatch.context() as patch:
                patch.setattr(module, name, fail, raising=False)
                if (module, name) == (listing.os, "stat"):
                    patch.setattr(listing.os.path, "isdir", lambda path: path.endswith("in"))
                with pytest.raises(StageError, match=r"in.*\(E[A-Z]+\)"):
                    groups_of(one, SMALL, engine)
    (group,) = groups_of(one, SMALL, engine)
    assert ingest_group(group, engine.store, SMALL) == 2


def test_memory_that_runs_out_while_records_are_parsed_stops_the_build(tmp_path, monkeypatch):
    one = source(files(tmp_path / "in", "jsonl"))

    def parser(_):
        def parse(_):
            raise MemoryError

        return parse

    monkeypatch.setattr(READERS["jsonl"], "parser", parser)
    with pytest.raises(StageError, match=r"^sources\.s: memory is exhausted \(MemoryError\); free memory"):
        ingest_here(one, Store(tmp_path / "root"))


def test_what_says_something_about_the_file_passes():
    for error in (
        OSError("Corrupt snappy compressed data."),
        pa.ArrowInvalid("bad"),
        UnicodeDecodeError("a", b"", 0, 0, ""),
    ):
        raise_system_error(error, "a")
    raise_lack(PermissionError(errno.EACCES, "no"), "a")
    with pytest.raises(PermissionError):
        raise_system_error(PermissionError(errno.EACCES, "no"), "a")
    with pytest.raises(builtins.FileNotFoundError):
        raise_system_error(FileNotFoundError(errno.ENOENT, "cannot allocate memory"), "a")
