"""Imports point one way, heavy libraries stay where they belong, files and functions stay small."""

import ast
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FLOORS = ("schemas", "scorers", "pipelines", "flows")  # each may import those before it, and itself
ONLY_IN = {"apache_beam": "pipelines", "prefect": "flows"}
MODELS = {"torch", "transformers"}  # only in two files of scorers/, and not at the top of them
FILES = sorted(path for floor in FLOORS for path in (ROOT / floor).rglob("*.py"))


def imported(tree: ast.AST) -> set[str]:
    names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    return names | {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_a_module_keeps_the_rules(path):
    floor = path.relative_to(ROOT).parts[0]
    tree = ast.parse(path.read_text())
    tops = {name.partition(".")[0] for name in imported(tree)}
    assert not tops & set(FLOORS[FLOORS.index(floor) + 1 :]), "imports point upwards"
    assert not tops & {library for library, home in ONLY_IN.items() if home != floor}
    assert not tops & MODELS or path.name in ("lm.py", "embedding.py")
    assert "tests" not in tops
    assert all(not isinstance(node, ast.ImportFrom) or node.level == 0 for node in ast.walk(tree)), "a relative import"
    assert len(path.read_text().splitlines()) <= 300
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert node.end_lineno - node.lineno < 60, node.name


def test_no_module_bears_the_name_of_one_in_the_standard_library():
    names = {path.stem for path in FILES} | {path.parent.name for path in FILES}
    assert not (names - {"__init__", "__main__"}) & set(sys.stdlib_module_names)


def test_the_wheel_holds_the_four_packages_and_no_test():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"] == list(FLOORS)


def test_there_is_something_to_look_at():
    assert len(FILES) > 50
    assert {path.relative_to(ROOT).parts[0] for path in FILES} == set(FLOORS)
