import pytest

from tests.pipelines.encode.families import FAMILIES, params_of, saved, trained


@pytest.fixture(params=FAMILIES)
def family(request, tmp_path):
    """EncodeParams of a tokenizer of each family."""
    return params_of(saved(tmp_path, trained(request.param)))
