"""What many tests share: the small mix, built once."""

from pathlib import Path

import pytest

from pipelines.build import build
from pipelines.recipe import load
from pipelines.versions import Version

TINY = Path(__file__).parents[1] / "mixes" / "tiny.toml"


@pytest.fixture(scope="session")
def tiny(tmp_path_factory) -> Version:
    """mixes/tiny.toml, built from examples/. Not to be changed: copy it first."""
    return build(load(TINY), tmp_path_factory.mktemp("tiny root"))
