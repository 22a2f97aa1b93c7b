"""A file that has a name is complete and synced, in place or renamed; scratch files are found where they were put."""

import json
import os
import subprocess
import sys
from hashlib import blake2b

import numpy as np
import pytest
import xxhash

from pipelines.store import files
from pipelines.store.files import HashedFile, Scratch
from schemas.errors import RecipeError
from tests.synced import Calls


@pytest.fixture
def calls(tmp_path, monkeypatch):
    return Calls(tmp_path, monkeypatch)


# -- hashes


@pytest.mark.parametrize("n_bytes", [0, 1, files.BLOCK_BYTES, files.BLOCK_BYTES + 1, 3 * files.BLOCK_BYTES - 1])
def test_hash_and_seal_are_those_of_all_bytes(tmp_path, n_bytes):
    data = np.random.default_rng(n_bytes).bytes(n_bytes)
    (tmp_path / "file").write_bytes(data)
    assert HashedFile.of(tmp_path / "file").hash == blake2b(data, digest_size=16).hexdigest()
    assert files.seal(tmp_path / "file") == {"n_bytes": n_bytes, "xxh3_128": xxhash.xxh3_128_hexdigest(data)}


def test_the_path_is_no_part_of_a_hashed_file(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).write_bytes(b"same")
    a, b = (HashedFile.of(tmp_path / name) for name in ("a", "b"))
    assert a.path != b.path
    assert a.model_dump() == b.model_dump() == {"hash": a.hash}


@pytest.mark.parametrize(("name", "why"), [("none", "No such file or directory"), (".", "Is a directory")])
def test_a_file_that_cannot_be_read_is_named(tmp_path, name, why):
    with pytest.raises(RecipeError) as error:
        HashedFile.of(tmp_path / name)
    assert str(error.value) == f"{tmp_path / name}: can't be read ({why}); mend the path or its permissions"


# -- names


def test_a_file_is_synced_before_it_is_named_and_its_folder_after(tmp_path, calls):
    part, path = tmp_path / "part", tmp_path / "new" / "folder" / "file"
    part.write_bytes(b"12345")
    files.rename(part, path)
    assert calls.words() == [
        "sync new/folder/file", "sync .", "sync new", "name new/folder/file", "sync new/folder",
    ]  # fmt: skip
    assert calls.n_bytes_synced(path) == 5
    assert path.read_bytes() == b"12345"
    assert not part.exists()


def test_a_name_that_was_there_leads_to_the_new_file(tmp_path):
    (tmp_path / "file").write_bytes(b"old")
    (tmp_path / "part").write_bytes(b"new")
    files.rename(tmp_path / "part", tmp_path / "file")
    assert [(p.name, p.read_bytes()) for p in tmp_path.iterdir()] == [("file", b"new")]


def test_a_folder_takes_the_place_of_a_damaged_one(tmp_path, calls):
    for name, content in (("part", "new"), ("folder", "old")):
        (tmp_path / name).mkdir()
        (tmp_path / name / content).write_text(content)
    files.rename_folder(tmp_path / "part", tmp_path / "folder")
    assert [p.relative_to(tmp_path).as_posix() for p in sorted(tmp_path.rglob("*"))] == ["folder", "folder/new"]
    assert calls.words() == ["sync folder/new", "sync folder", "name .folder.damaged.part", "name folder", "sync ."]


def test_a_folder_of_a_new_name_is_synced_and_named(tmp_path, calls):
    (tmp_path / "part").mkdir()
    (tmp_path / "part" / "file").write_text("new")
    files.rename_folder(tmp_path / "part", tmp_path / "folder")
    assert calls.words() == ["sync folder/file", "sync folder", "name folder", "sync ."]


def test_json_is_written_in_one_step_by_way_of_another_folder(tmp_path, calls):
    (tmp_path / "parts").mkdir()
    path = tmp_path / "actions" / "a.json"
    files.write_json(path, {"b": 1, "a": ["é"]}, tmp_path / "parts")
    assert path.read_text() == '{\n "a": [\n  "\\u00e9"\n ],\n "b": 1\n}\n'
    assert calls.words() == ["sync .", "sync actions/a.json", "name actions/a.json", "sync actions"]
    assert calls.n_bytes_synced(path) == path.stat().st_size
    assert not list((tmp_path / "parts").iterdir())


def test_json_that_cannot_be_written_leaves_what_was_there(tmp_path):
    files.write_json(tmp_path / "a.json", 1)
    with pytest.raises(TypeError):
        files.write_json(tmp_path / "a.json", object())
    assert json.loads((tmp_path / "a.json").read_text()) == 1
    assert [p.name for p in tmp_path.iterdir()] == ["a.json"]


def test_a_link_is_the_same_file_or_a_copy(tmp_path, monkeypatch):
    (tmp_path / "file").write_bytes(b"x")
    files.link(tmp_path / "file", tmp_path / "linked")
    assert (tmp_path / "linked").samefile(tmp_path / "file")

    def refuse(*_):
        raise OSError(1, "no hard links here")

    monkeypatch.setattr(os, "link", refuse)
    files.link(tmp_path / "file", tmp_path / "copied")
    assert not (tmp_path / "copied").samefile(tmp_path / "file")
    assert (tmp_path / "copied").read_bytes() == b"x"


def test_a_symlink_is_pointed_in_one_step(tmp_path, calls):
    symlink = tmp_path / "latest"
    for target in ("one", "two"):
        (tmp_path / target).mkdir()
        (tmp_path / ".latest.part").symlink_to("of a killed process")
        files.point(symlink, tmp_path / target)
        assert symlink.resolve() == tmp_path / target
        assert calls.words()[-2:] == ["name latest", "sync ."]
        (tmp_path / ".latest.part").unlink(missing_ok=True)
    calls.calls.clear()
    files.point(symlink, tmp_path / "two")
    assert calls.words() == []


# -- bytes in place


def test_what_a_crash_tore_is_cut_off_and_what_is_appended_is_synced(tmp_path, calls):
    path = tmp_path / "pairs" / "ab.jsonl"
    files.append(path, b"one\n", 0)
    assert (path.read_bytes(), calls.n_bytes_synced(path)) == (b"one\n", 4)
    assert calls.words() == ["sync .", "sync pairs/ab.jsonl"]
    with open(path, "ab") as stream:
        stream.write(b"tor")
    files.append(path, b"two\n", 4)
    assert (path.read_bytes(), calls.n_bytes_synced(path)) == (b"one\ntwo\n", 8)
    files.append(path, b"2\n", 4)
    assert path.read_bytes() == b"one\n2\n"


def test_a_disk_that_is_full_is_an_error(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "fsync", lambda _: pytest.fail("a torn record was synced as if it were whole"))

    class Full:
        def __init__(self, *_, **__):
            pass

        def __enter__(self):
            return self

        def __exit__(self, *_):
            return None

        def truncate(self, n_bytes):
            pass

        seek = truncate

        def write(self, data):
            return len(data) - 1

    monkeypatch.setattr(files, "open", Full, raising=False)
    with pytest.raises(OSError, match="written in part; check the free space"):
        files.append(tmp_path / "file", b"12", 0)


APPEND = """
import sys
from pathlib import Path
from pipelines.store.files import append_line
for i in range(300):
    append_line(Path(sys.argv[1]), sys.argv[2] * 3000)
"""


def test_lines_of_several_processes_never_mix(tmp_path):
    path = tmp_path / "progress.jsonl"
    writers = [subprocess.Popen([sys.executable, "-c", APPEND, str(path), c]) for c in "ab"]
    assert [writer.wait() for writer in writers] == [0, 0]
    lines = path.read_text().splitlines()
    assert sorted(lines) == ["a" * 3000] * 300 + ["b" * 3000] * 300


def test_a_write_goes_on_after_a_part_of_it(tmp_path, monkeypatch):
    pwrite = os.pwrite
    monkeypatch.setattr(os, "pwrite", lambda descriptor, data, offset: pwrite(descriptor, data[:3], offset))
    with open(tmp_path / "file", "wb") as stream:
        stream.write(b"." * 12)
        stream.flush()
        files.write_at(stream.fileno(), memoryview(b"abcdefgh"), 2)
    assert (tmp_path / "file").read_bytes() == b"..abcdefgh.."


def test_a_second_holder_gets_no_lock(tmp_path):
    """Of the same process too: each descriptor is a holder of its own."""
    first = files.lock(tmp_path / "lock")
    assert first is not None
    assert files.lock(tmp_path / "lock") is None
    os.close(first)
    again = files.lock(tmp_path / "lock")
    assert again is not None
    os.close(again)
    with pytest.raises(OSError):
        files.lock(tmp_path / "none" / "lock")


# -- scratch


def test_arrays_are_written_at_their_places_and_mapped(tmp_path):
    scratch = Scratch(tmp_path)
    assert scratch.reserve("values", 40).stat().st_size == 40
    scratch.write_at("values", np.array([[1, 2], [3, 4]], np.uint32)[:, ::-1], 8)
    assert scratch.map("values", np.uint32).tolist() == [0, 0, 2, 1, 4, 3, 0, 0, 0, 0]
    written = scratch.map("new", np.uint64, 3)
    written[:] = [7, 8, 9]
    assert scratch.map("new", np.uint64).tolist() == [7, 8, 9]
    with pytest.raises(ValueError, match="read-only"):
        scratch.map("new", np.uint64)[0] = 1


def test_a_scratch_file_gets_its_name_when_it_is_whole(tmp_path):
    scratch = Scratch(tmp_path)
    with scratch.writing("edges") as stream:
        stream.write(b"first")
        assert not scratch.path("edges").exists()
        with scratch.writing("edges") as other:  # a second attempt at the same work
            other.write(b"first")
        assert scratch.path("edges").read_bytes() == b"first"
    assert [p.name for p in tmp_path.iterdir()] == ["edges"]

    def broken():
        with scratch.writing("torn") as stream:
            stream.write(b"x")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        broken()
    assert not scratch.path("torn").exists()
