"""A scorer is added by its file, its columns and its name, and a selector by a row: everything else follows.

A toy scorer is edited into a copy of the packages, as a newcomer would, and a mix is built there by another process.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numba
import pytest
from numba.core.caching import UserProvidedCacheLocator

from tests import scored

pytestmark = pytest.mark.slow
pytest.importorskip("torch")

TOY = '''"""The share of a document's tokens that occurred before in it."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, PositiveInt

from schemas.errors import RecipeError
from scorers.lm import LM


class ToyParams(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["toy"] = "toy"
    min_tokens: PositiveInt = 20_000

    def score(self, lm: LM, ids: np.ndarray) -> "Score":
        if len(ids) < self.min_tokens:
            return Score("too_short", f"{len(ids):,} tokens, {self.min_tokens:,} needed", {"repeated_share": None, "n_distinct": None})
        n = len(np.unique(ids))
        return Score("scored", None, {"repeated_share": 1 - n / len(ids), "n_distinct": float(n)})

    def check(self, window_tokens: int, n_anchor: int) -> None:
        if self.min_tokens == 13:
            raise RecipeError(f"toy: min_tokens = 13 does not fit a window of {window_tokens:,} tokens")


@dataclass(frozen=True)
class Score:
    status: str
    reason: str | None
    parts: dict[str, float | None]
'''

COLUMNS = """SCORES_TOY = scores_of(
    part("repeated_share", "share of its tokens that occurred before in it"),
    part("n_distinct", "distinct tokens"),
)

"""

EDITS = (  # file, the text before which something is put, what is put there
    ("schemas/scores.py", "SCORES_PROLONG = scores_of(", COLUMNS),
    ("scorers/__init__.py", "\n\nclass Score(Protocol)", "from scorers.toy import ToyParams\n"),
    ("scorers/__init__.py", "ProLongParams, InfoGainParams", "ToyParams, "),
    (
        "pipelines/plan/selection.py",
        '    "random": Selector(',
        '    "toy": Selector("SCORES_TOY", "repeated_share"),\n',
    ),
)

SELECT = '[plan.select]\nby = "toy"\ntop_share = 0.4\n\n[pack]'

BUILD = """
import json, sys
from pathlib import Path

import pipelines
from flows.opened import opened
from pipelines.build import build
from pipelines.catalog import check_laws
from pipelines.recipe import load
from pipelines.store import Store
from pipelines.versions import shards_of
from schemas.errors import LawError

recipe, root = load(sys.argv[1]), Path(sys.argv[2])
version, store = build(recipe, root), Store(root)
with opened(version.folder, None, "latest") as (con, manifest, _):
    check_laws(con)
    columns = [row[0] for row in con.execute("DESCRIBE scores").fetchall()]
    con.execute("CREATE TABLE toy AS FROM tables.scores_toy")
    con.execute("CREATE OR REPLACE VIEW tables.scores_toy AS SELECT * REPLACE (NULL::DOUBLE AS repeated_share) FROM toy")
    try:
        check_laws(con)
        law = "none"
    except LawError as error:
        law = str(error)
tables = shards_of(manifest)
rows = lambda name, columns: [row for s in tables[name] for row in store.read(s, columns).to_pylist()]
print(json.dumps({
    "package": pipelines.__file__, "columns": columns, "folder": str(version.folder), "law": law,
    "toy": rows("SCORES_TOY", None), "gain": rows("SCORES_CHUNK_GAIN", ["document_id", "status", "reason"]),
    "documents": rows("DOCUMENTS", ["document_id", "domain"]), "draws": rows("DRAWS", ["document_id", "n_tokens"]),
    "tokens": rows("TOKENS", ["document_id", "n_tokens"]),
}))
"""

LOAD = """
import sys
from pipelines.recipe import load
from pipelines.score.model import reader_of
from schemas.errors import RecipeError

for path in sys.argv[1:]:
    try:
        recipe = load(path)
        reader_of(recipe.score, recipe.encode)
        print("refused by nothing")
    except RecipeError as error:
        print(error)
"""

HELP = "from flows.cli import app; app(['query', '--help'])"


def copy_kernels(folder):
    """The compiled kernels of the packages as those of the copy, which would take a minute to compile."""
    place = UserProvidedCacheLocator.get_suitable_cache_subpath
    for module in folder.rglob("__init__.py"):
        kernels = Path(numba.config.CACHE_DIR) / place(str(scored.ROOT / module.relative_to(folder)))
        if kernels.is_dir():
            shutil.copytree(kernels, folder / "kernels" / place(str(module)), ignore=shutil.ignore_patterns("*.tmp.*"))


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    """The packages with the toy in them, and a recipe that scores and selects by it."""
    folder = tmp_path_factory.mktemp("extension")
    for name in ("schemas", "scorers", "pipelines", "flows", "mixes", "examples"):
        shutil.copytree(scored.ROOT / name, folder / name)
    copy_kernels(folder)
    (folder / "scorers" / "toy.py").write_text(TOY)
    for name, before, put in EDITS:
        text = (folder / name).read_text()
        assert text.count(before) == 1, (name, before)
        (folder / name).write_text(text.replace(before, put + before))
    scored.recipe(folder, folder / "examples", min_tokens=4_000)
    recipe = (folder / "scored.toml").read_text().replace("[pack]", SELECT, 1)
    (folder / "toy.toml").write_text(
        recipe.replace("[score.model]", '[[score.also]]\nkind = "toy"\n\n[score.model]', 1)
    )
    return folder


def run(copy, code, *arguments):
    """What a program that imports the copy prints."""
    env = {**os.environ, "PYTHONPATH": str(copy), "COLUMNS": "200", "NUMBA_CACHE_DIR": str(copy / "kernels")}
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        cwd=copy,
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return done.stdout


@pytest.fixture(scope="module")
def built(copy, tiny):
    """What a build of the copy made, on a root with what it has in common with the small mix."""
    shutil.copytree(tiny.folder.parents[2], copy / "root", ignore=shutil.ignore_patterns("datasets"))
    found = json.loads(run(copy, BUILD, copy / "toy.toml", copy / "root").splitlines()[-1])
    assert found["package"] == str(copy / "pipelines" / "__init__.py")
    return found


def test_every_document_that_the_model_reads_has_a_score_and_all_others_say_why(built):
    gain = {row["document_id"]: row for row in built["gain"]}
    assert len(built["toy"]) == len(gain)
    statuses = set()
    for row in built["toy"]:
        own = gain[row["document_id"]]
        if own["status"] != "scored":
            assert (row["status"], row["reason"], row["repeated_share"]) == (own["status"], own["reason"], None)
        elif row["status"] == "scored":
            assert 0 < row["repeated_share"] < 1
            assert row["n_distinct"] > 1
        else:
            assert (row["status"], row["repeated_share"]) == ("too_short", None)
            assert "20,000 needed" in row["reason"]
        statuses.add((own["status"], row["status"]))
    assert statuses >= {
        ("scored", "scored"),
        ("scored", "too_short"),
        ("not_scored", "not_scored"),
        ("dropped", "dropped"),
    }


def test_a_plan_selects_by_it(built):
    """The top 40 % of each domain's tokens, by the toy's score; documents without one stay."""
    n_tokens = {row["document_id"]: row["n_tokens"] or 0 for row in built["tokens"]}
    score = {row["document_id"]: row["repeated_share"] for row in built["toy"] if row["status"] == "scored"}
    drawn = {row["document_id"] for row in built["draws"]}
    out = set()
    for domain in {row["domain"] for row in built["documents"]}:
        names = [
            row["document_id"] for row in built["documents"] if row["domain"] == domain and row["document_id"] in score
        ]
        before, total = 0, sum(n_tokens[name] for name in names)
        for name in sorted(names, key=lambda name: -score[name]):
            if before >= 0.4 * total:
                out.add(name)
            before += n_tokens[name]
    assert len(out) > 3
    assert not drawn & out
    assert drawn & set(score)
    assert drawn - set(score)


WRONG = (  # in the recipe, what is put in its place, and what the message says
    ('kind = "toy"', 'kind = "toy"\nmin_token = 9', "score.also.0.min_token: no such key; did you mean min_tokens?"),
    ('kind = "toy"', 'kind = "toi"', "kind must be one of 'toy', 'prolong', 'infogain', 'longattn', not"),
    (
        '[[score.also]]\nkind = "toy"\n',
        "",
        'plan.select.by: toy needs an entry [[score.also]] of kind = "toy"; add it',
    ),
    ('by = "toy"', 'by = "toi"', "plan.select.by: unknown selector 'toi'; did you mean toy?"),
    (
        'kind = "toy"',
        'kind = "toy"\nmin_tokens = 13',
        "score.also: toy: min_tokens = 13 does not fit a window of 2,048 tokens",
    ),
)


def test_a_recipe_knows_it(copy):
    text = (copy / "toy.toml").read_text()
    paths = [copy / f"wrong{i}.toml" for i in range(len(WRONG))]
    for path, (old, new, _) in zip(paths, WRONG, strict=True):
        assert text.count(old) == 1
        path.write_text(text.replace(old, new))
    lines = run(copy, LOAD, *paths).splitlines()
    for line, (_, new, message) in zip(lines, WRONG, strict=True):
        assert message in line, new


def test_the_laws_hold_and_a_law_watches_its_score(built):
    assert "law broken" in built["law"]
    assert "'toy'" in built["law"]


@pytest.mark.parametrize("place", ["the view scores", "report.html", "longmix query --help"])
def test_it_is_shown(built, copy, place):
    text = {
        "the view scores": lambda: " ".join(built["columns"]),
        "report.html": (Path(built["folder"]) / "report.html").read_text,
        "longmix query --help": lambda: run(copy, HELP),
    }[place]().lower()
    assert "toy" in text or "repeated_share" in text
