"""The flows as a person sees them: names of runs and tasks, and what the parameters mean."""

import pytest

from flows.build_mix import build_mix, is_transient, retried
from flows.refresh import refresh_mix
from flows.select_influential import select_influential
from pipelines import ingest
from pipelines.score import others
from schemas.errors import BusyError, RecipeError, StageError

FLOWS = [build_mix, refresh_mix, select_influential]


@pytest.mark.parametrize("flow", FLOWS, ids=lambda flow: flow.name)
def test_parameters_are_described_and_required(flow):
    schema = flow.parameters.model_dump()
    assert schema["required"] == ["mix", "root"]
    assert schema["properties"]["mix"]["description"].startswith("The recipe, such as ")
    assert schema["properties"]["root"]["description"].startswith("The folder of the tables and datasets")
    assert flow.description
    assert flow.flow_run_name


def test_the_run_of_a_stage_has_its_name():
    assert [(task.name, task.task_run_name) for task in (retried(ingest.run), retried(others.run))] == [
        ("ingest", "ingest"),
        ("others", "others"),
    ]


@pytest.mark.parametrize(
    ("error", "is_tried_again"),
    [(StageError("s"), True), (OSError(28, "full"), True), (RecipeError("r"), False), (BusyError("b"), False)],
    ids=lambda value: type(value).__name__,
)
def test_faults_of_the_machine_alone_are_tried_again(error, is_tried_again):
    state = type("State", (), {"result": lambda _, raise_on_failure: error})()  # noqa: ARG005
    assert is_transient(None, None, state) == is_tried_again
