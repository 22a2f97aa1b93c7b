"""Imports point one way, heavy libraries stay where they belong, files and functions stay small."""

import ast
import re
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


SCRIPTS = sorted(path for folder in ("benchmarks", "examples") for path in (ROOT / folder).rglob("*.py"))


def runs_no_code(node: ast.AST) -> bool:
    """Whether a node is a call of from_pretrained that refuses code in words."""
    return isinstance(node, ast.Call) and any(
        word.arg == "trust_remote_code" and isinstance(word.value, ast.Constant) and word.value.value is False
        for word in node.keywords
    )


def uses(tree: ast.AST, name: str) -> list[ast.AST]:
    """Where an attribute or a name occurs: the call of it, or itself where it is not called."""
    called = {id(node.func): node for node in ast.walk(tree) if isinstance(node, ast.Call)}
    found = [node for node in ast.walk(tree) if name in (getattr(node, "attr", None), getattr(node, "id", None))]
    return [called.get(id(node), node) for node in found]


def test_a_model_is_read_without_its_code():
    """Without the argument, transformers asks at the terminal whether to run code from the model's folder."""
    loads = {path: uses(ast.parse(path.read_text()), "from_pretrained") for path in FILES + SCRIPTS}
    for path, nodes in loads.items():
        assert all(map(runs_no_code, nodes)), path
    readers = {path.name for path, nodes in loads.items() if nodes}
    assert readers >= {"lm.py", "configs.py", "speed.py", "make_tokenizer.py"}


@pytest.mark.parametrize(
    ("code", "safe"),
    [
        ("A.from_pretrained(x, trust_remote_code=False)", [True]),
        ("A.from_pretrained(x)", [False]),
        ("A.from_pretrained(x, trust_remote_code=True)", [False]),
        ("A.from_pretrained(x, trust_remote_code=None)", [False]),
        ("A.from_pretrained(x, trust_remote_code=0)", [False]),
        ("A.from_pretrained(x, **{'trust_remote_code': False})", [False]),
        ("f = A.from_pretrained", [False]),
        ("partial(A.from_pretrained, trust_remote_code=False)", [False]),
        ("from_pretrained(x)", [False]),
        ("from_config(x)", []),
    ],
)
def test_what_counts_as_reading_a_model_without_its_code(code, safe):
    assert [runs_no_code(node) for node in uses(ast.parse(code), "from_pretrained")] == safe


def test_no_module_bears_the_name_of_one_in_the_standard_library():
    names = {path.stem for path in FILES} | {path.parent.name for path in FILES}
    assert not (names - {"__init__", "__main__"}) & set(sys.stdlib_module_names)


def test_the_wheel_holds_the_four_packages_and_no_test():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"] == list(FLOORS)


def test_there_is_something_to_look_at():
    assert len(FILES) > 50
    assert {path.relative_to(ROOT).parts[0] for path in FILES} == set(FLOORS)


STAGE_FOLDERS = {path.parent.name for path in (ROOT / "pipelines").glob("*/__init__.py")} - {"store"}
INSIDE = {  # modules that import the inside of another stage's folder: this list only shrinks
    "flows/gathering.py": {"pipelines.gather.model"},
    "flows/forecast_text.py": {"pipelines.score.budget"},
    "pipelines/build.py": {"pipelines.score.model"},
    "pipelines/calibrate.py": {"pipelines.score.measure", "pipelines.score.model"},
    "pipelines/forecast/__init__.py": {"pipelines.plan.cells", "pipelines.plan.upsample"},
    "pipelines/forecast/estimate.py": {
        "pipelines.ingest.account", "pipelines.ingest.listing", "pipelines.ingest.named_fields",
        "pipelines.ingest.readers", "pipelines.ingest.readers.record", "pipelines.plan.cells",
    },
    "flows/init_recipe.py": {"pipelines.encode.params"},
    "pipelines/recipe_faults.py": {"pipelines.ingest.source"},
    "pipelines/survey.py": {"pipelines.ingest.listing", "pipelines.ingest.readers", "pipelines.ingest.walking"},
}  # fmt: skip


def modules_imported(path: Path) -> set[str]:
    """Every module that a file imports, `from package import module` included."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
    return {name for name in names if is_module(name)}


def is_module(name: str) -> bool:
    path = ROOT / name.replace(".", "/")
    return path.with_suffix(".py").is_file() or (path / "__init__.py").is_file()


def stage_of(path: Path) -> str:
    """The stage that a module belongs to: its folder below pipelines/, or its own name."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return parts[1] if parts[0] == "pipelines" else parts[0]


def test_nobody_imports_the_inside_of_another_stage():
    inside = {}
    for path in FILES:
        others = {
            name
            for name in modules_imported(path)
            if name.startswith("pipelines.") and name.count(".") > 1
            and name.split(".")[1] in STAGE_FOLDERS and name.split(".")[1] != stage_of(path)
        }  # fmt: skip
        if others:
            inside[path.relative_to(ROOT).as_posix()] = others
    assert inside == INSIDE


def test_the_gatherer_is_step_zero():
    """Only the command line imports it: a build knows raw files, not packages."""
    importers = {
        path.relative_to(ROOT).as_posix()
        for path in FILES
        if any(name.startswith("pipelines.gather") for name in modules_imported(path))
    }
    assert {name for name in importers if not name.startswith("pipelines/gather/")} == {"flows/gathering.py"}


DOOR = {
    "fsync",
    "replace",
    "rename",
    "flock",
    "pwrite",
    "memmap",
    "link",
    "symlink_to",
}  # of files: store/files.py alone


def test_one_door_to_files():
    for path in FILES:
        name = path.relative_to(ROOT).as_posix()
        if name == "pipelines/store/files.py" or not name.startswith("pipelines/"):
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in DOOR:
                module = node.func.value.id if isinstance(node.func.value, ast.Name) else ""
                assert module not in ("os", "fcntl", "np", "shutil") or node.func.attr == "copyfile", (
                    name,
                    node.func.attr,
                )


def test_the_map_names_every_stage_and_folder():
    text = (ROOT / "pipelines" / "__init__.py").read_text()
    modules = {path.stem for path in (ROOT / "pipelines").glob("*.py")} | {
        p.name for p in (ROOT / "pipelines").iterdir() if p.is_dir()
    }
    assert [name for name in sorted(modules - {"__init__", "__pycache__"}) if name not in text] == []


UNTESTED = {  # modules without a test file of their name, and why
    "flows/__init__.py": "a docstring",
    "pipelines/__init__.py": "a docstring; the map is tested above",
    "schemas/__init__.py": "a docstring",
}


def mirrored(path: Path) -> Path:
    """Where the tests of a module are: tests/a/b/test_c.py of a/b/c.py, tests/a/b/test_b.py of a/b/__init__.py."""
    relative = path.relative_to(ROOT)
    name = relative.parent.name if path.stem == "__init__" else path.stem.strip("_")
    return ROOT / "tests" / relative.parent / f"test_{name}.py"


def test_every_module_has_a_test_file_of_its_name():
    untested = [path.relative_to(ROOT).as_posix() for path in FILES if not mirrored(path).is_file()]
    assert untested == sorted(UNTESTED)


def test_a_test_file_tests_something_of_its_module():
    """It names the module, and asserts."""
    for path in FILES:
        tests = mirrored(path)
        if tests.is_file():
            text = tests.read_text()
            module = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
            assert module in modules_imported(tests) | names_in(text), tests
            assert "assert" in text, tests


def names_in(text: str) -> set[str]:
    """Names of modules that a text holds, such as in `python -m flows.deploy`."""
    return set(re.findall(r"\b(?:schemas|scorers|pipelines|flows)(?:\.\w+)+", text))
