"""Small models, each saved and loaded once."""

import math
from functools import cache

import pytest

from scorers.lm import ModelParams, load
from scorers.weights import Weights


@pytest.fixture(scope="session")
def folders(tmp_path_factory):
    from tests.scorers.small_models import CONFIGS, saved  # needs torch

    return cache(lambda name: saved(CONFIGS[name](), tmp_path_factory.mktemp(name)))


@pytest.fixture(scope="session")
def models(folders):
    return cache(lambda name, block=1: load(ModelParams(weights=Weights.of(folders(name)), block=block)))


@pytest.fixture(scope="session")
def exact(folders):
    from tests.scorers.small_models import torch, transformers

    return cache(
        lambda name: transformers.AutoModelForCausalLM.from_pretrained(folders(name), dtype=torch.float64).eval()
    )


@pytest.fixture(scope="session")
def slow(exact):
    """All logits of one pass over the context and the target, in float64, without a cache; a pair at a time."""
    from tests.scorers.small_models import torch

    def mean_nll(name, chunks, anchor, target, context=None):
        before = ([] if anchor is None else [anchor]) + ([] if context is None else chunks[context].tolist())
        ids = [*before, *chunks[target].tolist()]
        with torch.no_grad():
            logits = exact(name)(torch.tensor([ids]), use_cache=False).logits[0].double()
        of = [
            float(torch.logsumexp(logits[t - 1], -1) - logits[t - 1, ids[t]]) for t in range(len(before) + 1, len(ids))
        ]
        assert len(of) == chunks.shape[1] - 1
        return math.fsum(of) / len(of)

    return mean_nll
