"""A row for each version, also where its manifest is damaged."""

import pytest

from pipelines.overview import overview
from schemas.errors import RecipeError
from tests.pipelines.test_versions import version_in


def test_an_older_version_and_a_damaged_manifest(tmp_path):
    version_in(tmp_path, "other", "a" * 12)
    version_in(tmp_path, "other", "c" * 12)
    (tmp_path / "datasets" / "other" / ("a" * 12) / "manifest.json").write_text("{")
    rows = {row["version"]: row for row in overview(tmp_path)}
    assert (rows["a" * 12]["latest"], rows["c" * 12]["latest"]) == (False, True)
    assert rows["a" * 12]["sequences"] is None


def test_a_root_without_a_version(tmp_path):
    with pytest.raises(RecipeError, match=r"holds no dataset; build one first"):
        overview(tmp_path)
