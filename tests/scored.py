"""A small scored mix, with a model of 0.3 MB: the trained OPT of tests/reference, which has a tokenizer of its own."""

from pathlib import Path

from pipelines.recipe import Recipe, load

ROOT = Path(__file__).parents[1]
MODEL = ROOT / "tests" / "reference" / "prolong"


def recipe(folder: Path, examples: Path = ROOT / "examples", **score: object) -> Recipe:
    """mixes/tiny.toml with a [score] section, written into `folder` and loaded. examples: a folder that has the corpus."""
    text = (ROOT / "mixes" / "tiny.toml").read_text().replace("../examples/corpus", f"{examples}/corpus")
    text = text.replace("../examples", f"{ROOT}/examples")  # the tokenizer, which a process loads once for each path
    settings = {"min_tokens": 30_000, "budget_tokens": 12_000, "chunk_tokens": 32, "most_pairs": 16, **score}
    section = "\n".join(f"{name} = {value!r}".replace("'", '"') for name, value in settings.items())
    scoring = f'[score]\n{section}\n\n[score.model]\nweights = "{MODEL}/model_opt_trained"\n\n[plan]'
    text = text.replace("[plan]", scoring, 1)
    path = folder / "scored.toml"
    path.write_text(text.replace('mix = "tiny"', 'mix = "scored"') + "\n[run]\nworkers = 2\n")
    return load(path)
