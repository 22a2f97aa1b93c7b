"""A shell completes mixes and versions from the names of folders."""

from types import SimpleNamespace

import pytest

from flows.options import complete_mix, complete_version
from tests.pipelines.test_versions import version_in


@pytest.fixture
def root(tmp_path):
    for mix, version in (("a", "11" * 6), ("a", "12" * 6), ("b", "13" * 6)):
        version_in(tmp_path, mix, version)
    return tmp_path


def test_names_that_begin_so(root):
    ctx = SimpleNamespace(params={"root": root})
    assert complete_version(ctx, "1") == ["11" * 6, "12" * 6, "13" * 6]
    assert complete_version(ctx, "12") == ["12" * 6]
    assert complete_version(ctx, "la") == ["latest"]
    assert complete_version(SimpleNamespace(params={"root": root, "mix": "b"}), "1") == ["13" * 6]
    assert complete_mix(ctx, "") == ["a", "b"]
    assert complete_mix(ctx, "b") == ["b"]


def test_a_root_is_found_in_the_words_of_the_command_line(root, monkeypatch):
    monkeypatch.setenv("COMP_WORDS", f"longmix query {root} x --version ")
    assert complete_version(SimpleNamespace(params={}), "13") == ["13" * 6]
    monkeypatch.setenv("COMP_WORDS", "longmix query")
    monkeypatch.chdir(root)
    assert complete_version(SimpleNamespace(params={}), "") == []
