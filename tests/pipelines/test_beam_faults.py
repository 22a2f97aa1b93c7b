"""pipelines/beam_faults.py: runners and options that Beam does not have are refused, those that it has are not."""

import pytest

from pipelines.beam_faults import MOST_WORKERS, checked
from pipelines.stage import Runner


@pytest.mark.parametrize(
    ("run", "finding"),
    [
        ({"workers": MOST_WORKERS + 1}, "workers: must be at most 1,024, not 1025"),
        ({"runner": "FlinkRuner"}, "'FlinkRuner' is no runner of Beam; did you mean FlinkRunner"),
        ({"runner": "no_such_package.Runner"}, "can't be imported"),
        ({"runner": "json.JSONDecoder"}, "is no runner of Beam"),
        ({"options": {"nmu_workers": 2}}, "options.nmu_workers: no such option of Beam"),
        ({"options": {"runner": "X"}}, "options.runner: set run.runner in its place"),
        ({"options": {"num_workers": "two"}}, "options.num_workers: must be a whole number, not 'two'"),
        ({"options": {"num_workers": True}}, "options.num_workers: must be a whole number, not True"),
    ],
)
def test_what_beam_does_not_have_is_refused(run, finding):
    with pytest.raises(ValueError, match=r".") as error:
        checked(Runner(**run))
    assert finding in str(error.value)


@pytest.mark.parametrize(
    "run",
    [{}, {"workers": MOST_WORKERS}, {"runner": "PortableRunner"}, {"options": {"num_workers": 2, "streaming": True}}],
)
def test_what_beam_has_is_not(run):
    assert checked(Runner(**run)) == Runner(**run)
