"""The commands that fetch what the default recipes need."""

import pytest

from flows import gathering
from tests.flows.test_cli import invoked


@pytest.mark.parametrize(("words", "name"), [([], "scoring"), (["--encoder"], "encoder")])
def test_one_command_fetches_either_model(words, name, monkeypatch, tmp_path):
    def fetch(each):
        return lambda out, cache, report: report(f"{each} {out} {cache}")

    monkeypatch.setattr("pipelines.gather.model.MODELS", {each: fetch(each) for each in ("scoring", "encoder")})
    result = invoked("model", str(tmp_path / "models"), "--cache", str(tmp_path / "cache"), *words)
    assert result.output == f"{name} {tmp_path / 'models'} {tmp_path / 'cache'}\n"


def test_every_command_has_a_line_of_help():
    assert all(command.__doc__ for command in (gathering.corpus, gathering.model, gathering.demonstration))
