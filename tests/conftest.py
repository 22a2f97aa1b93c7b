"""What many tests share: the small mix, built once by the command line, while its sockets are watched."""

import fcntl
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipelines.stage import Runner
from pipelines.versions import Version, latest
from tests.sockets import watched
from tests.workers import worker_pool

TINY = Path(__file__).parents[1] / "mixes" / "tiny.toml"
BUILD = [sys.executable, "-m", "flows.cli", "build", str(TINY), "--workers", "2", "--root"]


@pytest.fixture(scope="session")
def tiny_build(tmp_path_factory) -> dict:
    """`longmix build mixes/tiny.toml --workers 2`: its root, its output, and the sockets that it opened.

    Built once, also where several processes run the tests: the first builds, the others wait and read what it found.
    """
    base = tmp_path_factory.getbasetemp()
    shared = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "tiny mix"
    shared.mkdir(exist_ok=True)
    facts = shared / "facts.json"
    with open(shared / "lock", "w") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        if not facts.exists():
            root = shared / "root"
            sockets = watched([*BUILD, str(root)], shared / "output")
            facts.write_text(
                json.dumps({"root": str(root), "sockets": sockets, "output": (shared / "output").read_text()})
            )
    return json.loads(facts.read_text())


@pytest.fixture(scope="session")
def tiny(tiny_build) -> Version:
    """mixes/tiny.toml, built from examples/. Not to be changed: copy it first."""
    folder = latest(Path(tiny_build["root"]), "tiny")
    assert folder is not None, tiny_build["output"]
    return Version(folder, "tiny", folder.name, is_new=True)


@pytest.fixture(scope="session")
def cluster() -> Iterator[Runner]:
    """A runner whose workers live in another process."""
    with worker_pool() as runner:
        yield runner
