"""A version is removed only after a yes, by whoever holds the root."""

import pytest

from flows import remove_version
from pipelines.store.lock import locked
from pipelines.versions import latest
from schemas.errors import BusyError, RecipeError
from tests.flows.test_cli import invoked
from tests.pipelines.test_versions import version_in


@pytest.fixture
def root(tmp_path):
    for version in ("a" * 12, "b" * 12):
        version_in(tmp_path, "m", version)
    return tmp_path


def names(root):
    return sorted(path.name for path in (root / "datasets").glob("*/*"))


def test_yes_removes_by_a_beginning(root):
    result = invoked("remove", str(root), "bb", "--yes")
    assert result.exit_code == 0, result.output
    assert f"the newest version of m is {'a' * 12}; free its shards with: longmix gc --root {root}" in result.output
    assert latest(root, "m").name == "a" * 12
    result = invoked("remove", str(root), "latest", "-y")
    assert f"no version remains; remove the folder {root}" in result.output


def test_without_a_terminal_nothing_is_removed(root):
    result = invoked("remove", str(root), "bb")
    assert isinstance(result.exception, RecipeError)
    assert "answer with --yes" in str(result.exception)
    assert names(root) == ["a" * 12, "b" * 12, "latest"]


@pytest.mark.parametrize(("answer", "n"), [(True, 2), (False, 3)])
def test_a_terminal_is_asked(root, monkeypatch, answer, n):
    questions = []
    monkeypatch.setattr(remove_version, "is_terminal", lambda: True)
    monkeypatch.setattr(remove_version.typer, "confirm", lambda text: questions.append(text) or answer)
    result = invoked("remove", str(root), "bb")
    assert questions == [f"remove m {'b' * 12} (0.2 kB), the newest?"]
    assert len(names(root)) == n
    assert (result.exception is None) == answer


def test_a_busy_root_and_a_versions_own_folder(root):
    with locked(root, "a build", "--root"):
        result = invoked("remove", str(root), "bb", "--yes")
    assert isinstance(result.exception, BusyError)
    result = invoked("remove", str(root / "datasets" / "m" / ("b" * 12)), "bb", "--yes")
    assert "name the --root of the build" in str(result.exception)
    assert len(names(root)) == 3
