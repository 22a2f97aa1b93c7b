"""What is said of a build is what its workers committed; a log gets lines, a terminal bars."""

import json
import threading
import time

import pytest

from flows import progress
from flows.progress import Follower, StageProgress, following, lines, polling


def tell(root, *events, torn=""):
    with open(root / "progress.jsonl", "a") as stream:
        stream.write("".join(json.dumps(event) + "\n" for event in events) + torn)


def event(stage, what, at, **more):
    return {"time": at, "stage": stage, "event": what, **more}


@pytest.fixture
def follower(tmp_path):
    return Follower(tmp_path)


def test_a_stage_adds_up(tmp_path, follower):
    now = follower.since + 1
    tell(tmp_path, {"time": now, "event": "build", "mix": "tiny"}, event("ingest", "begun", now, shards=4, there=1))
    made = [event("ingest", "made", now + i, documents=10, bytes=3_000_000) for i in (1, 2)]
    tell(tmp_path, *made)
    (stage,) = follower.poll()
    assert (stage.shards, stage.existing, stage.made, stage.documents, stage.n_bytes) == (4, 1, 2, 20, 6_000_000)
    assert stage.seconds == pytest.approx(2, abs=0.01)
    assert stage.left_seconds == pytest.approx(2, abs=0.01)
    assert stage.summary() == "20 documents, 3.0 MB/s, 2 s left"
    tell(tmp_path, event("ingest", "ended", now + 4))
    assert follower.poll() == [stage]
    assert stage.summary() == "20 documents, 1.5 MB/s"


def test_reused_documents_are_counted_apart(tmp_path, follower):
    now = follower.since + 1
    tell(tmp_path, event("encode", "begun", now, shards=2))
    tell(tmp_path, event("encode", "made", now, documents=1_200, bytes=0, reused=1_100))
    tell(tmp_path, event("encode", "made", now, documents=30, bytes=0))
    tell(tmp_path, event("encode", "ended", now + 4))
    (stage,) = follower.poll()
    assert stage.summary() == "1,230 documents, 1,100 of them reused"


def test_only_what_changed_is_told(tmp_path, follower):
    now = follower.since + 1
    assert follower.poll() == []
    tell(tmp_path, event("a", "begun", now, shards=1), event("b", "begun", now, shards=1))
    assert [stage.stage for stage in follower.poll()] == ["a", "b"]
    tell(tmp_path, event("b", "made", now, documents=1, bytes=1))
    assert [stage.stage for stage in follower.poll()] == ["b"]
    assert follower.poll() == []


def test_a_line_that_is_being_written_waits(tmp_path, follower):
    now = follower.since + 1
    whole = json.dumps(event("a", "made", now, documents=7, bytes=1))
    tell(tmp_path, event("a", "begun", now, shards=2), torn=whole[:20])
    assert follower.poll()[0].made == 0
    tell(tmp_path, torn=whole[20:] + "\n")
    assert follower.poll()[0].documents == 7


def test_an_earlier_build_is_passed_over(tmp_path, follower):
    tell(tmp_path, event("a", "begun", follower.since - 1, shards=9))
    assert follower.poll() == []
    (tmp_path / "progress.jsonl").write_text("")  # as a build does when it begins
    tell(tmp_path, event("a", "begun", follower.since + 1, shards=2))
    assert follower.poll()[0].shards == 2


@pytest.mark.parametrize(
    ("stage", "said"),
    [
        (StageProgress("a", shards=3, existing=3, ended=1.0), "nothing to make"),
        (StageProgress("a", ended=1.0), "nothing to make"),
        (StageProgress("a", shards=3, ended=1.0), "done"),
        (StageProgress("a", shards=3), ""),
        (StageProgress("a", shards=3, made=3, documents=1, began=1.0, latest=2.0), "1 document"),
        (StageProgress("a", shards=3, made=3, documents=1, n_bytes=40_000, began=1.0, latest=2.0), "1 document"),
        (StageProgress("a", shards=3, made=3, n_bytes=60_000, began=1.0, latest=2.0), "0.1 MB/s"),
    ],
)
def test_a_stage_in_words(stage, said):
    assert stage.summary() == said


def test_nobody_knows_the_time_left_before_the_first_shard():
    assert StageProgress("a", shards=3).left_seconds is None


def test_a_stage_without_a_figure_yet_is_told_by_its_shards(tmp_path, follower, capsys):
    now = follower.since + 1
    tell(tmp_path, event("a", "begun", now, shards=4), event("b", "begun", now + 16, shards=1))
    show = lines(follower)
    for stage in follower.poll():
        stage.latest = stage.began + 16
        show([stage])
    assert "a: 0 of 4 shards\n" in capsys.readouterr().err


def test_a_log_gets_a_line_when_a_stage_ends_and_now_and_then(tmp_path, follower, capsys):
    show, now = lines(follower), follower.since + 1
    tell(tmp_path, event("a", "begun", now, shards=4), event("a", "made", now + 14.9, documents=5, bytes=0))
    show(follower.poll())
    assert capsys.readouterr().err == ""
    tell(tmp_path, event("a", "made", now + 15, documents=5, bytes=0))
    show(follower.poll())
    show(follower.poll())
    assert capsys.readouterr().err == "a: 2 of 4 shards, 10 documents, 15 s left\n"
    tell(tmp_path, event("a", "ended", now + 20))
    show(follower.poll())
    show(follower.poll())
    assert capsys.readouterr().err == "a: 10 documents, 20.0 s\n"


def test_what_came_last_is_shown_though_the_build_was_quick(tmp_path, capsys):
    with following(tmp_path):
        now = time.time()
        tell(tmp_path, event("a", "begun", now, shards=1), event("a", "made", now, documents=3, bytes=0))
        tell(tmp_path, event("a", "ended", now + 2))
    assert capsys.readouterr().err == "a: 3 documents, 2.0 s\n"


def test_the_thread_ends_with_the_build_though_it_fails(follower):
    before, shown = threading.active_count(), []

    def build():
        with polling(follower, shown.append, 0.01):
            time.sleep(0.1)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        build()
    assert threading.active_count() == before
    assert len(shown) > 1


def test_a_terminal_gets_bars(tmp_path, monkeypatch, capsys):
    console = progress.Console
    monkeypatch.setattr(progress, "Console", lambda **_: console(stderr=True, force_terminal=True, width=100))
    with following(tmp_path):
        now = time.time()
        tell(tmp_path, event("encode", "begun", now, shards=2), event("encode", "made", now, documents=3, bytes=0))
        time.sleep(0.5)
        tell(tmp_path, event("encode", "ended", now + 1))
    said = capsys.readouterr().err
    assert "encode" in said
    assert "1/2" in said
    assert "2/2" in said
    assert "3 documents" in said


def test_a_label_in_brackets_is_no_markup_on_a_terminal(tmp_path, monkeypatch, capsys):
    console = progress.Console
    monkeypatch.setattr(progress, "Console", lambda **_: console(stderr=True, force_terminal=True, width=100))
    with following(tmp_path):
        now = time.time()
        tell(tmp_path, event("chat [/INST]\x1b", "begun", now, shards=1), event("chat [/INST]\x1b", "ended", now))
    assert "chat [/INST]\\x1b" in capsys.readouterr().err
