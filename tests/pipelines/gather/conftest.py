"""Stand-in clients on PATH, and gatherings of what they serve."""

import pytest

from pipelines.gather import fetching, registries
from tests.clients import Registries
from tests.pipelines.gather.small import FILES, Run


@pytest.fixture
def served(tmp_path, monkeypatch):
    """Stand-ins on PATH that serve FILES; no pause between tries."""
    made = Registries(tmp_path / "registries")
    for (registry, file), files in FILES.items():
        made.put(registry, file, files)
    monkeypatch.setenv("PATH", str(made.bin))
    monkeypatch.setattr(registries, "has_pip", lambda: False)
    monkeypatch.setattr(fetching, "PAUSE_SECONDS", (0, 0))
    return made


@pytest.fixture
def run(tmp_path, served):
    return Run(tmp_path / "run", served)


@pytest.fixture
def clean(tmp_path, served):
    """The bytes of a gather that nothing disturbed."""
    first = Run(tmp_path / "clean", served)
    first()
    served.calls()
    return first.bytes()
