"""What longmix writes and reads as text is UTF-8 whatever the locale."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MODULES = sorted(
    path for folder in ("pipelines", "schemas", "scorers", "flows") for path in (ROOT / folder).rglob("*.py")
)
METHODS = {"read_text": 0, "write_text": 1}  # the place of `encoding` among the positional arguments
FUNCTIONS = {"open": 1, "fdopen": 1}  # the place of `mode`


def without_encoding(tree):
    """Line numbers of calls that read or write text in the encoding of the locale."""
    lines = []
    for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
        keys = {word.arg: word.value for word in call.keywords}
        name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
        if name in METHODS and "encoding" not in keys and len(call.args) <= METHODS[name]:
            lines.append(call.lineno)
        if name in FUNCTIONS and not isinstance(call.func, ast.Attribute):
            mode = keys.get("mode") or (call.args[1] if len(call.args) > 1 else ast.Constant("r"))
            if isinstance(mode, ast.Constant) and "b" not in mode.value and "encoding" not in keys:
                lines.append(call.lineno)
    return lines


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_text_has_an_encoding(path):
    assert without_encoding(ast.parse(path.read_text(encoding="utf-8"))) == []


@pytest.mark.parametrize(
    ("code", "n"),
    [
        ("p.read_text()", 1),
        ("p.write_text(x)", 1),
        ("open(p)", 1),
        ("open(p, 'w')", 1),
        ("p.read_text('utf-8')", 0),
        ("p.write_text(x, encoding='utf-8')", 0),
        ("open(p, 'rb')", 0),
        ("open(p, 'r' if q else 'rb')", 0),
    ],
)
def test_the_cases_that_the_test_must_tell_apart(code, n):
    assert len(without_encoding(ast.parse(code))) == n
