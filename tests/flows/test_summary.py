"""What a build says of its scores: why documents have none, also where none has one."""

from flows.summary import scores
from tests.pipelines.test_report import catalog


def test_what_was_not_scored_is_said_where_nothing_was():
    said = scores(catalog("not_scored", "budget"))
    assert "no document has a score" in said
    assert "budget" in said
    assert "70,000" in said or "70000" in said


def test_scores_are_said_and_nothing_where_no_model_was_asked():
    assert "0.25" in scores(catalog("scored", None))
    assert scores(catalog(None, None, "list")) == ""
