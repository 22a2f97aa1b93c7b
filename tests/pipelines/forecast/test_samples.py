"""A forecast of instruction samples counts what the model will forward, without what is kept and what is not scored."""

import json
from types import SimpleNamespace

import numpy as np
import pytest

from flows.sample_text import scoring
from flows.tables import WIDTH
from flows.text import filled
from pipelines.choose import ChooseParams
from pipelines.forecast import samples
from pipelines.forecast.samples import Lengths, SamplesForecast, of_lengths, part_bytes
from schemas.errors import RecipeError


def lengths(source="a", domain="x", n=3, kept=(), part=1.0):
    each = np.arange(1, n + 1)
    is_kept = np.isin(np.arange(n), kept)
    return Lengths(source, domain, 0 * each + 2, 100 * each, 10 * each, each, 113 * each, is_kept, part)


def recipe(short=()):
    sources = tuple(
        SimpleNamespace(name=name, domain=domain) for name, domain in (("a", "x"), ("b", "y"), ("s", "tip"))
    )
    return SimpleNamespace(
        sources=sources, choose=SimpleNamespace(short_sources=short), influence=SimpleNamespace(budget_tokens=None)
    )


@pytest.fixture
def costs(monkeypatch):
    """The cost of a sample is its number of tokens, and a token takes 2 seconds."""
    monkeypatch.setattr(samples.influence, "cost", lambda sample, _: len(sample.ids))
    monkeypatch.setattr(samples, "seconds_a_token", lambda _: 2.0)


@pytest.mark.usefixtures("costs")
def test_model_tokens_are_those_of_samples_that_are_not_kept():
    one = of_lengths(recipe(), [lengths()], is_exact=True)
    assert one.model_tokens == 2 * 3 + 111 * 6
    assert one.cpu_seconds == 2 * one.model_tokens
    assert (one.sampled, one.n_kept) == ({}, 0)
    kept = of_lengths(recipe(), [lengths(kept=(1,))], is_exact=True)
    assert one.model_tokens - kept.model_tokens == 2 + 222
    assert kept.n_kept == 1


@pytest.mark.usefixtures("costs")
def test_short_instructions_are_not_scored():
    forecast = of_lengths(recipe(short=("s",)), [lengths(), lengths("s", "tip")], is_exact=True)
    by_domain = {row["domain"]: row["model_tokens"] for row in forecast.domains}
    assert by_domain == {"x": 672, "y": 0, "tip": 0}
    assert {row["domain"]: row["samples"] for row in forecast.domains} == {"x": 3, "y": 0, "tip": 3}


@pytest.mark.usefixtures("costs")
def test_a_part_of_a_source_stands_for_all_of_it():
    forecast = of_lengths(recipe(), [lengths(part=0.25), lengths("b", "y")], is_exact=False)
    assert [row["samples"] for row in forecast.domains] == [0, 12, 3]
    assert forecast.sampled == {"a": 0.25, "b": 1.0}
    assert forecast.model_tokens == 5 * 672


@pytest.mark.usefixtures("costs")
def test_nothing_to_measure_loads_no_model():
    forecast = of_lengths(recipe(), [lengths(kept=(0, 1, 2))], is_exact=True)
    assert (forecast.model_tokens, forecast.cpu_seconds) == (0, None)
    text = scoring(forecast, recipe())
    assert text == "Scoring: nothing is left to measure. 3 samples measured earlier will not be read again."


def test_the_sentence_on_scoring_names_the_budget():
    forecast = SamplesForecast([{"model_tokens": 5_000, "samples": 2}], {"a": 0.5}, 0, 123.4)
    with_budget = SimpleNamespace(influence=SimpleNamespace(budget_tokens=1_000))
    assert scoring(forecast, with_budget) == (
        "Scoring: about 5,000 model tokens, about 123 CPU seconds by a run on this machine. "
        "influence.budget_tokens is 1,000: the cheapest samples come first."
    )
    assert max(map(len, filled(scoring(forecast, with_budget)))) <= WIDTH


def test_the_parts_of_a_sample_in_bytes():
    turns = [
        ("system", "Be é."),
        ("user", "ctx\n\nask"),
        ("assistant", "one"),
        ("user", "more"),
        ("assistant", "last!"),
    ]
    sample = {"messages": [{"role": r, "content": c} for r, c in turns], "context_chars": 5}
    context, instruction, response, total = part_bytes(json.loads(json.dumps(sample)))
    assert (context, response, total) == (5, 5, 6 + 8 + 3 + 4 + 5)
    assert context + instruction + response == total


def test_a_plan_refuses_a_choice_by_what_no_model_measures(tmp_path):
    """As the build does."""
    unmeasured = SimpleNamespace(choose=ChooseParams(), influence=None, sources=(), mix="m")
    with pytest.raises(RecipeError, match="influence needs hmg and cam, which are not measured"):
        samples.samples_forecast(unmeasured, tmp_path)
