"""The commands that compare versions and query them, as they are typed."""

import shutil
from importlib.metadata import version

import pytest
from typer.testing import CliRunner

from flows.cli import app
from flows.tables import WIDTH
from schemas.errors import RecipeError
from schemas.views import comments
from tests.conftest import TINY


def invoked(*words):
    return CliRunner(env={"COLUMNS": str(WIDTH), "TERM": "dumb", "TERMINAL_WIDTH": str(WIDTH)}).invoke(app, [*words])


def test_the_help_of_a_query_lists_the_views_within_80_columns():
    result = invoked("query", "--help")
    assert result.exit_code == 0
    assert [view for view in comments() if f"\n  {view} " not in result.output] == []
    assert [line for line in result.output.splitlines() if len(line.rstrip()) > WIDTH] == []


def test_diff_compares_two_versions(tiny):
    root, name = tiny.folder.parents[2], tiny.version
    result = invoked("diff", str(root), name, name)
    assert result.exit_code == 0
    head, _, *rows = result.output.splitlines()
    assert head == f"From {name} to {name}"
    assert len(rows) == 14  # corpus and mix of seven domains
    assert {tuple(row.split()[2:]) for row in rows} == {("0", "0", "0", "0")}


def test_diff_of_a_version_without_a_base_names_the_remedy(tiny):
    result = invoked("diff", str(tiny.folder.parents[2]))
    assert isinstance(result.exception, RecipeError)
    assert "name the version to compare with, as in longmix diff ROOT BEFORE" in str(result.exception)


@pytest.mark.parametrize("words", [["plan", str(TINY)], ["show", "0"]])
def test_output_for_people_fits_into_80_columns(tiny, words):
    root = str(tiny.folder.parents[2])
    result = invoked("plan", words[1], "--root", root) if words[0] == "plan" else invoked("show", root, words[1])
    assert result.exit_code == 0, result.output
    assert [line for line in result.output.splitlines() if len(line) > WIDTH] == []


def test_quiet_prints_the_folder_alone(tiny, tmp_path):
    root = tmp_path / "root"
    shutil.copytree(tiny.folder.parents[2], root, symlinks=True)
    result = invoked("build", str(TINY), "--root", str(root), "--quiet")
    assert (result.exit_code, result.output) == (0, f"{root / tiny.folder.relative_to(tiny.folder.parents[2])}\n")


def test_a_version_is_named_by_its_beginning(tiny):
    root = str(tiny.folder.parents[2])
    for word in (tiny.version, tiny.version[:5], "latest"):
        assert invoked("query", root, "FROM totals", "--version", word, "--format", "csv").exit_code == 0
    result = invoked("query", root, "FROM totals", "--version", "zz")
    assert str(result.exception).endswith(f"zz: no such version; the root holds tiny {tiny.version}")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_completes_commands(shell, monkeypatch):
    monkeypatch.setenv("_LONGMIX_COMPLETE", f"complete_{shell}")
    monkeypatch.setenv("COMP_WORDS", "longmix bui")
    monkeypatch.setenv("COMP_CWORD", "1")
    monkeypatch.setenv("_TYPER_COMPLETE_ARGS", "longmix bui")
    monkeypatch.setenv("_TYPER_COMPLETE_FISH_ACTION", "get-args")
    result = CliRunner().invoke(app, [], prog_name="longmix")
    assert result.exit_code == 0
    assert "build" in result.output
    assert "refresh" not in result.output


def test_the_version_and_the_short_form_of_help():
    assert invoked("--version").output == f"longmix {version('longmix')}\n"
    assert invoked("query", "-h").output == invoked("query", "--help").output
    assert invoked("-h").output == invoked("--help").output
