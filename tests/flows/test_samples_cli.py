"""The commands on a recipe of instruction samples and its root. The set has no model: samples are chosen at random."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from flows.cli import app
from flows.tables import WIDTH
from schemas.errors import RecipeError

EXAMPLES = Path(__file__).parents[2] / "examples"
RECIPE = f"""
mix = "set"
[encode]
tokenizer = "{EXAMPLES / "tokenizer" / "tokenizer.json"}"
eos_token = "<|endoftext|>"
[samples]
[choose]
by = "random"
top = 0.5
short_sources = ["tips"]
short_share = 0.25
[pack]
packer = "best_fit"
sequence_tokens = 256
[run]
workers = 1
[[sources]]
name = "web"
domain = "web"
path = "web.jsonl"
[[sources]]
name = "tips"
domain = "tips"
path = "tips.jsonl"
"""
CITIES = ["Oslo", "Lima", "Rome", "Cairo", "Quito", "Delhi", "Seoul", "Paris", "Accra", "Dakar", "Tunis", "Hanoi"]


def record(user, answer):
    return json.dumps({"messages": [{"role": "user", "content": user}, {"role": "assistant", "content": answer}]})


def invoked(*words):
    return CliRunner(env={"COLUMNS": str(WIDTH), "TERM": "dumb", "TERMINAL_WIDTH": str(WIDTH)}).invoke(
        app, [*map(str, words)], catch_exceptions=False
    )


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The recipe, its root, the output of plan before the build and that of the build."""
    folder = tmp_path_factory.mktemp("set")
    lines = [
        record(f"{city} has a river. " * 3 + f"\n\nWhat does {city} have {i} times?", f"{city} has river {i}.")
        for i, city in enumerate(CITIES)
    ]
    (folder / "web.jsonl").write_text("\n".join([*lines, '{"messages": []}']) + "\n")
    tips = [record(f"Name city {city}.", f"It is {city}, of course.") for city in CITIES]
    (folder / "tips.jsonl").write_text("\n".join(tips) + "\n")
    recipe, root = folder / "set.toml", folder / "root"
    recipe.write_text(RECIPE)
    before = invoked("plan", recipe, "--root", root)
    assert not root.exists()
    return recipe, root, before.output, invoked("build", recipe, "--root", root).output


def test_a_build_is_summarised_as_a_set_of_samples(built):
    lines = built[3].splitlines()
    assert "  24 samples read, 24 kept, 0 scored" in lines
    assert "  6 chosen by rank, 2 short instructions" in lines
    assert "  rejected: 1 record (1 messages_empty)" in lines
    assert [line.split()[:4] for line in lines if line.startswith(("  web ", "  tips "))][:2] == [
        ["tips", "12", "0", "2"],
        ["web", "12", "0", "6"],
    ]
    shown = lines[lines.index("") : lines.index("Next, for example:")]
    assert [line for line in shown if len(line) > WIDTH and str(built[1]) not in line] == []


def test_a_plan_is_estimated_before_a_build_and_exact_after_it(built):
    recipe, root, before, _ = built
    after = invoked("plan", recipe, "--root", root).output
    assert "Estimated from a sample of records" in before
    assert "of each source: web 100%, tips 100%." in before
    assert "Exact, from the tables of the last build." in after
    for text in (before, after):
        assert "Scoring: the recipe has no model." in text
        assert "Chosen by random: top = 0.5, a share of the samples that may be chosen." in text
        assert [line for line in text.splitlines() if len(line) > WIDTH] == []
        rows = {
            line.split()[0]: line.split()[1:3] for line in text.splitlines() if line.startswith(("  web", "  tips"))
        }
        assert rows == {"web": ["12", "12"], "tips": ["12", "0"]}


def test_a_sequence_is_shown_with_its_samples_and_their_text(built):
    output = invoked("show", built[1], "0").output
    assert output.startswith("Sequence 0 of set ")
    assert "of source web" in output
    assert "### Instruction: What does" in output


def test_without_a_model_no_scores_are_compared(built):
    latest = Path(built[1]) / "datasets" / "set" / "latest"
    for page, sentence in (("README.md", "6 instruction samples chosen by rank"), ("report.html", "chosen by rank")):
        text = (latest / page).read_text()
        assert sentence in text
        assert "Medians" not in text


def test_the_other_commands_work_on_the_root(built):
    recipe, root = built[:2]
    assert "all undamaged" in invoked("check", root).output
    assert invoked("gc", "--root", root, "--dry-run").output == f"0 files, 0.0 MB would be removed from {root}\n"
    assert invoked("gc", "--root", root).output == f"0 files, 0.0 MB removed from {root}\n"
    asked = invoked(
        "query", root, "SELECT why, count(*) AS n FROM samples GROUP BY ALL ORDER BY why", "--format", "csv"
    )
    assert asked.output.splitlines() == ["why,n", "short,2", "top,6", ",16"]
    best = invoked("query", root, "FROM samples ORDER BY place LIMIT 2").output.splitlines()
    before, after = best[0].split("…")
    assert before.split()[:5] == ["place", "why", "reason", "domain", "source"]
    assert after.split()[-4:] == ["n_tokens", "hmg", "cam", "score"]
    assert [line.split()[:2] for line in best[2:4]] == [["1", "top"], ["2", "top"]]
    refreshed, name = invoked("refresh", recipe, "--root", root), (root / "datasets" / "set" / "latest").resolve().name
    assert refreshed.output.endswith(f"\n\nNothing changed since {name}: no version was written.\n")


def test_a_refresh_reports_what_came_in(built, tmp_path):
    recipe, root = tmp_path / "set.toml", tmp_path / "root"
    recipe.write_text(RECIPE)
    for name in ("web.jsonl", "tips.jsonl"):
        (tmp_path / name).write_text((built[0].parent / name).read_text())
    invoked("build", recipe, "--root", root)
    with open(tmp_path / "web.jsonl", "a") as stream:
        stream.write(record("Bern is old.\n\nWhat is Bern?", "Bern is old.") + "\n")
    output = invoked("refresh", recipe, "--root", root).output
    assert "25 samples read, 25 kept" in output
    difference = output[output.index("\n\nFrom ") :].splitlines()
    assert ["web", "corpus", "1", "0"] in [line.split()[:4] for line in difference]


def test_a_calibration_of_samples_is_refused_before_anything_is_written(built, tmp_path):
    with pytest.raises(RecipeError, match="chunk_gain does not score instruction samples"):
        invoked("calibrate", built[0], tmp_path / "out.json", "--root", built[1])
    assert not (tmp_path / "out.json").exists()
