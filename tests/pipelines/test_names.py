"""Names in a recipe of either kind."""

import re
from types import SimpleNamespace

import pytest

from pipelines.names import MIX_NAME, check_names


def test_two_sources_of_one_name_are_refused_by_it():
    check_names([SimpleNamespace(name=name) for name in ("b", "a", "c")])
    with pytest.raises(ValueError, match="two are named 'a'; give each a name of its own"):
        check_names([SimpleNamespace(name=name) for name in ("b", "a", "b", "a")])


@pytest.mark.parametrize(("name", "is_one"), [("128k", True), ("a" * 64, True), ("a" * 65, False), ("", False), ("A", False), (".a", False), ("a/b", False), ("a.b-c_d", True)])  # fmt: skip
def test_a_mix_is_named_like_a_folder(name, is_one):
    assert bool(re.match(MIX_NAME, name)) == is_one
