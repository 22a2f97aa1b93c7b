"""Rows of both tables from raw parts; that they are kept is tested with the stage."""

import numpy as np
import pytest

from pipelines.influence.kept import values_of
from schemas.scores import SCORES_CAM, SCORES_HMG
from scorers.influence import RawParts

NONE, NO_SEGMENT = np.empty(0), np.empty((0, 0))


def raw(status="scored", cam_status="scored", **changes):
    values = {
        "status": status, "reason": None if status == "scored" else "no context", "cam_status": cam_status,
        "cam_reason": None if cam_status == "scored" else "one segment", "nll_long": np.array([1.0, 2.0]),
        "nll_short": np.array([2.0, 4.0]), "nll_no_context": np.array([5.0, 6.0]), "nll_alone": np.array([3.0, 3.0]),
        "segment_nll": np.array([[1.0, 3.0], [4.0, 4.0]]), "attention": np.array([[0.1, 0.3], [0.2, 0.2]]),
        "attention_mass": np.array([[0.4, 1.2], [0.8, 0.8]]), "segment_tokens": np.array([4, 2], np.int32),
        "context_tokens": 8, "is_cut": True, "model_tokens": 40,
    }  # fmt: skip
    return RawParts(**{**values, **changes})


def test_the_columns_of_a_scored_sample_are_those_of_the_tables():
    values = values_of(raw())
    assert set(values["SCORES_HMG"]) | {"document_id"} == set(SCORES_HMG.names)
    assert set(values["SCORES_CAM"]) | {"document_id"} == set(SCORES_CAM.names)
    assert values["SCORES_HMG"]["nll_gain"] == 1.5
    assert values["SCORES_HMG"]["is_cut"] is True
    assert values["SCORES_CAM"]["segment_nll"] == [2.0, 4.0]
    assert values["SCORES_CAM"]["attention"] == np.float32([[0.1, 0.3], [0.2, 0.2]]).tolist()
    weight, attention = np.exp([-2.0, -4.0]), np.array([0.15, 0.25])
    cosine = weight @ attention / np.linalg.norm(weight) / np.linalg.norm(attention)
    assert values["SCORES_CAM"]["alignment"] == pytest.approx(cosine)


def test_a_sample_without_a_part_has_its_reason():
    values = values_of(raw("too_short", "too_short", segment_nll=NO_SEGMENT, attention=NO_SEGMENT))
    assert (values["SCORES_HMG"]["reason"], values["SCORES_HMG"]["nll_gain"]) == ("no context", None)
    assert values["SCORES_HMG"]["is_cut"] is None
    assert values["SCORES_CAM"] == {"status": "too_short", "reason": "one segment"}
