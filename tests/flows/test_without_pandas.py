"""Commands that look up import no library that only a build needs."""

import json
import subprocess
import sys

from tests.conftest import TINY

HEAVY = ("numba", "pandas", "scipy", "transformers", "torch", "apache_beam")

COMMANDS = """
import contextlib, io, json, sys
from flows.cli import app
root, recipe, *heavy = sys.argv[1:]
imported = {}
for name, *arguments in (
    ["query", root, "FROM lengths"], ["show", root, "0"], ["plan", recipe, "--root", root],  # plan leaves pandas out
):
    with contextlib.redirect_stdout(io.StringIO()) as out:
        app([name, *arguments], standalone_mode=False)
    imported[name] = ["commoncrawl" in out.getvalue(), *(module for module in heavy if module in sys.modules)]
print(json.dumps(imported))
"""


def output(program, *arguments):
    done = subprocess.run([sys.executable, "-c", program, *arguments], capture_output=True, text=True, check=False)
    assert not done.returncode, done.stderr
    return done.stdout


def test_a_look_up_imports_no_library_of_a_build(tiny):
    imported = json.loads(output(COMMANDS, str(tiny.folder.parents[2]), str(TINY), *HEAVY))
    assert {name: modules for name, (_, *modules) in imported.items()} == {"query": [], "show": [], "plan": []}
    assert [imported[name][0] for name in ("query", "show", "plan")] == [True, True, True]  # they answered


def test_pandas_can_be_imported_later():
    program = """
import sys
from flows.without_pandas import leave_out_pandas
leave_out_pandas()
import pyarrow as pa
table = pa.table({"a": [1, 2]})
print("pandas" in sys.modules, "NoPandas" in str(sys.meta_path), table.to_pandas()["a"].sum(), "pandas" in sys.modules)
"""
    assert output(program) == "False False 3 True\n"
