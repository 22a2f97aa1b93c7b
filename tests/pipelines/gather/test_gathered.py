"""A corpus that is what was asked for is found whole; a lock that is none is refused."""

import json

import pytest

from pipelines.gather import gathered
from pipelines.gather.catalogue import DOMAINS
from pipelines.gather.fetching import CorpusError, Locked
from pipelines.gather.gathered import Arguments, current, read_lock


@pytest.mark.parametrize(
    "content", ["[]", "{", '{"deb:a": {}}', '{"deb:a": {"version": "1", "file": "../a", "sha256": ""}}']
)
def test_a_lock_that_is_none(run, content):
    run.lock.write_text(content)
    with pytest.raises(CorpusError, match="not a lock"):
        run()


def test_a_lock_is_read_by_package(run):
    entries = json.loads(run.lock.read_text())
    assert read_lock(run.lock) == {key: Locked(**entry) for key, entry in entries.items()}
    with pytest.raises(CorpusError, match=r"none.json: can't be read \(No such file or directory\); name another lock"):
        read_lock(run.lock.with_name("none.json"))


def test_a_corpus_is_current_where_everything_is_as_asked_and_whole(run, monkeypatch):
    manifest = run()
    asked = (run.out, manifest.arguments, manifest.lock, manifest.left_out)
    assert current(*asked) == manifest
    other = manifest.arguments.model_copy(update={"seed": 1})
    assert current(run.out, other, manifest.lock, manifest.left_out) is None
    assert current(run.out, manifest.arguments, "another", manifest.left_out) is None
    assert current(run.out, manifest.arguments, manifest.lock, {}) is None
    for name, value in (("VERSION", 10**6), ("zstd_version", lambda: "0")):
        with monkeypatch.context() as patch:
            patch.setattr(gathered, name, value)
            assert current(*asked) is None
    path = run.out / "manifest.json"
    whole = path.read_text()
    path.write_text(whole.replace('"failures": {}', '"failures": {"a": "b"}'))
    assert current(*asked) is None
    path.write_text(whole[:-3])
    assert current(*asked) is None
    path.write_text(whole)
    (run.out / "book.jsonl.zst").unlink()
    assert current(*asked) is None


def test_a_manifest_holds_no_time_and_no_place(run):
    run()
    text = (run.out / "manifest.json").read_text()
    assert str(run.out) not in text
    assert set(json.loads(text)) == {
        "version", "zstandard", "arguments", "lock", "domains", "packages", "moved", "failures", "left_out",
    }  # fmt: skip


def test_the_default_choice_of_documents():
    assert json.dumps(Arguments().model_dump(mode="json")) == json.dumps(
        {
            "domains": list(DOMAINS),
            "allow": ["pd", "permissive", "sharealike", "copyleft"],
            "max_mb": 0.0,
            "min_chars": 200,
            "seed": 0,
        }
    )


def test_the_order_of_arguments_cannot_show(run):
    manifest = run(domains=["github", "c4", "github"], allow=["permissive", "copyleft", "permissive"])
    assert manifest.arguments.domains == ("c4", "github")
    assert manifest.arguments.allow == ("copyleft", "permissive")
    run(domains=["c4", "github"], allow=["copyleft", "permissive"])
    assert run.reports("nothing to do")
