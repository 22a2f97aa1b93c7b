"""The files of a Delta table are those that its log adds and does not remove; a log that needs more is refused."""

import json
import os
import random

import pytest

from pipelines.ingest.delta import current_files
from schemas.errors import RecipeError


def write_log(folder, versions: list[list[dict]], first: int = 0) -> str:
    (folder / "_delta_log").mkdir(parents=True, exist_ok=True)
    for i, actions in enumerate(versions):
        text = "".join(json.dumps(action) + "\n" for action in actions)
        (folder / "_delta_log" / f"{first + i:020d}.json").write_text(text)
    return str(folder)


def test_files_are_those_of_the_newest_version(tmp_path):
    for seed in range(30):
        r, live, versions = random.Random(seed), set(), []
        for i in range(r.randrange(1, 15)):
            removed = [name for name in sorted(live) if r.random() < 0.3]
            added = [f"x={r.randrange(2)}/{i}-{j}.parquet" for j in range(r.randrange(3))]
            again = removed[:1] if r.random() < 0.3 else []
            live = (live - set(removed)) | set(added) | set(again)
            versions.append(
                [
                    {"commitInfo": {}},
                    *({"remove": {"path": name}} for name in removed),
                    *({"add": {"path": name, "dataChange": True}} for name in [*added, *again]),
                ]
            )
        folder = write_log(tmp_path / str(seed), versions)
        (tmp_path / str(seed) / "_delta_log" / "00000000000000000000.crc").write_text("{")
        assert current_files(folder) == sorted(live), f"{seed=}"


def test_names_are_those_of_an_url(tmp_path):
    assert current_files(write_log(tmp_path, [[{"add": {"path": "x=a%20b/%C3%A9.parquet"}}]])) == ["x=a b/é.parquet"]


@pytest.mark.parametrize(
    ("versions", "why"),
    [
        ([[{"add": {"path": "a", "deletionVector": {"storageType": "u"}}}]], "rows are deleted by a vector"),
        ([[{"add": {"path": "s3://b/a"}}]], "files outside"),
        ([[{"add": {"path": "/a"}}]], "files outside"),
        ([[{"add": {"path": "../a"}}]], "files outside"),
        ([[{"metaData": {"configuration": {"delta.columnMapping.mode": "name"}}}]], "columns have other names"),
        ([], "the beginning of its log"),
    ],
)
def test_a_table_that_needs_more_than_its_log_and_parquet_is_refused(tmp_path, versions, why):
    with pytest.raises(
        RecipeError, match=f"a Delta table, and .*{why}.*; export its current rows as Parquet and set path"
    ):
        current_files(write_log(tmp_path, versions))


def test_a_log_with_a_gap_or_a_torn_entry_is_refused(tmp_path):
    folder = write_log(tmp_path, [[{"add": {"path": "a"}}]] * 2, first=1)
    with pytest.raises(RecipeError, match="a version is missing"):
        current_files(folder)
    write_log(tmp_path, [[{"metaData": {"configuration": {}}}]])
    assert current_files(folder) == ["a"]
    (tmp_path / "_delta_log" / f"{1:020d}.json").write_text('{"add": {')
    with pytest.raises(RecipeError, match=r"00000000000000000001\.json of its log can't be read"):
        current_files(folder)


@pytest.mark.parametrize(
    "path",
    ["../a.parquet", "%2e%2e/a.parquet", "/etc/a.parquet", "%2Fetc/a", "x/..%2Fa", "s3://b/a", "a%00b", "", "x//a"],
)
def test_a_file_outside_the_folder_is_refused(tmp_path, path):
    (tmp_path / "_delta_log").mkdir()
    (tmp_path / "_delta_log" / f"{0:020}.json").write_text(json.dumps({"add": {"path": path}}))
    with pytest.raises(RecipeError, match="it has files outside its folder; export"):
        current_files(str(tmp_path))


@pytest.mark.parametrize(
    "line", ['{"add": {}}', '{"add": 3}', '{"remove": {"path": 1}}', "[]", '{"metaData": []}', "[" * 100_000, "\xff"]
)
def test_a_log_that_is_none_is_refused(tmp_path, line):
    (tmp_path / "_delta_log").mkdir()
    (tmp_path / "_delta_log" / f"{0:020}.json").write_bytes(line.encode("latin-1"))
    with pytest.raises(RecipeError, match="of its log can't be read"):
        current_files(str(tmp_path))


def test_a_log_that_is_a_pipe_is_not_opened(tmp_path):
    (tmp_path / "_delta_log").mkdir()
    os.mkfifo(tmp_path / "_delta_log" / f"{0:020}.json")
    with pytest.raises(RecipeError, match="of its log is no file"):
        current_files(str(tmp_path))
