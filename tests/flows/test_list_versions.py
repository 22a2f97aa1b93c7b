"""`longmix list` has a row for each version, with what people ask for first."""

import csv
import json
import shutil

import pytest

from flows.list_versions import size, table
from flows.tables import WIDTH
from pipelines.overview import overview
from tests.flows.test_cli import invoked
from tests.pipelines.test_versions import version_in


@pytest.fixture
def root(tiny, tmp_path):
    shutil.copytree(tiny.folder.parents[1], tmp_path / "datasets", symlinks=True)
    version_in(tmp_path, "other", "a" * 12, base="b" * 12)
    return tmp_path


def test_a_version_in_json_and_csv(tiny, root):
    rows = [json.loads(line) for line in invoked("list", str(root), "--format", "json").output.splitlines()]
    assert rows == overview(root)
    assert [(row["mix"], row["latest"], row["base"]) for row in rows] == [
        ("other", True, "b" * 12),
        ("tiny", True, None),
    ]
    (_, row) = rows
    assert (row["version"], row["tokens"]) == (tiny.version, 400_000)
    assert row["bytes"] == sum(path.stat().st_size for path in tiny.folder.iterdir())
    assert (rows[0]["tokens"], rows[0]["sequences"]) == (None, 0)  # a manifest alone
    (head, *lines) = csv.reader(invoked("list", str(root), "--format", "csv").output.splitlines())
    assert head == list(rows[0])
    assert lines[1][:2] == ["tiny", tiny.version]


def test_the_table_fits_80_columns(tiny, root):
    lines = invoked("list", str(root)).output.splitlines()
    assert lines[2].split()[:4] == ["tiny", tiny.version, "*", "26"]
    rows = [{**row, "mix": "m" * 64, "base": "b" * 12, "tokens": 10**12, "latest": True} for row in overview(root)]
    assert max(map(len, table(rows).splitlines())) <= WIDTH


def test_sizes():
    shown = {
        0: "0.0 kB",
        999_999: "1,000.0 kB",
        10**6: "1.0 MB",
        10**9: "1.0 GB",
        10**12: "1.0 TB",
        1_234_567: "1.2 MB",
    }
    assert {n: size(n) for n in shown} == shown
