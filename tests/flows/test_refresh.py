"""What a refresh reports: the first version, no change, or the difference to its base."""

import logging
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace

import pytest

from flows import refresh
from pipelines.versions import Version

ROW = {"domain": "a", "what": "mix", "documents_in": 1, "documents_out": 2, "tokens_in": 3, "tokens_out": 4}


@pytest.fixture
def run(monkeypatch, caplog):
    """Run the flow around a build that gives a version; returns the artifacts and the log."""

    def flow(base, is_new):
        artifacts, bases, announced = {}, [], []
        version = Version(Path("/root/datasets/m/v2"), "m", "v2", is_new=is_new, notes=("a note",))

        def build(*_, base, **__):
            bases.append(base)
            return version

        def create(body, key, **_):
            artifacts[key] = body

        def publish(key, lines):
            artifacts[key] = lines

        fakes = {
            "load": lambda _: SimpleNamespace(mix="m"), "latest": lambda *_: base, "build": build,
            "reported": lambda _: nullcontext(), "announce": announced.append, "changes": lambda *_: [ROW],
            "create_markdown_artifact": create, "publish_lines": publish,
            "publish_table": lambda key, rows, _, by: create((rows, by), key),
            "get_run_logger": lambda: logging.getLogger("test"),
        }  # fmt: skip
        for name, fake in fakes.items():
            monkeypatch.setattr(refresh, name, fake)
        caplog.set_level(logging.INFO)
        assert refresh.refresh_mix.fn("m.toml", "/root") == str(version)
        assert bases == [base]
        return SimpleNamespace(artifacts=artifacts, announced=announced, log=caplog.messages, version=version)

    return flow


def test_the_first_version(run):
    done = run(None, is_new=True)
    assert done.log == ["no earlier version exists: this is the first"]
    assert (done.artifacts, done.announced) == ({}, [done.version])


def test_nothing_changed(run):
    done = run(Path("/root/datasets/m/v1"), is_new=False)
    assert done.log[1:] == ["a note"]
    assert done.artifacts == {"changes": "Nothing changed since `v1`: no version was written."}
    assert done.announced == []


def test_a_difference_is_the_one_of_the_command_line(run):
    done = run(Path("/root/datasets/m/v1"), is_new=True)
    assert done.artifacts["changes-by-domain"] == ([ROW], "what")
    assert done.log[0].splitlines()[0] == "From v1 to v2"
    assert done.artifacts["changes"] == done.log[0]
    assert done.announced == [done.version]
