"""How attacks are judged, where kills fall, and the tables of both."""

import os
import random
import signal
import sys
import time

import pytest

from benchmarks.attack.ground import SEEN_CHARACTERS, Ended, Ground, done, done_or_refused, outcome, refused
from benchmarks.attack.inputs import arrow_bytes, mutated
from benchmarks.attacks import ATTACKS, FULL, attacked, comparison
from benchmarks.killing import Moment, Steps, Undisturbed, stage_of
from benchmarks.random_kills import KILLS, table

TRACEBACK = "Traceback (most recent call last):\n  File x\nValueError: y\n"


@pytest.fixture
def ground(tmp_path):
    return Ground(tmp_path, [sys.executable, "-c"], tmp_path / "shared")


@pytest.mark.parametrize(
    ("status", "output", "is_done", "is_refused"),
    [
        (0, "made", True, False),
        (1, "longmix: no such file", False, True),
        (2, "usage", False, True),
        (70, "internal", False, False),
        (-11, "", False, False),
        (None, "", False, False),
        (0, TRACEBACK, False, False),
        (1, TRACEBACK, False, False),
    ],
)
def test_a_command_is_done_or_refused_by_its_status_and_without_a_traceback(status, output, is_done, is_refused):
    ended = Ended(status, output, 1.0, 0)
    assert (done(ended).is_held, refused(ended).is_held) == (is_done, is_refused)
    assert done_or_refused(ended).is_held == (is_done or is_refused)


def test_what_was_seen_is_short_and_without_the_folder_of_the_attack():
    seen = outcome(True, f"refused: /tmp/a-1/attacks/query-reads/root/x.json:  {'no such file ' * 9}").seen
    assert seen.startswith("refused: root/x.json: no such file")
    assert len(seen) == SEEN_CHARACTERS
    assert outcome(True, "short").seen == "short"


def test_a_command_that_does_not_end_is_ended_with_its_group(ground):
    code = "import os, time; print(os.fork(), flush=True); time.sleep(60)"
    ended = ground.run(code, seconds=1)
    assert ended.status is None
    assert 0.9 < ended.seconds < 20
    child = max(int(line) for line in ended.output.split())
    for _ in range(100):  # the signal is sent; the system may be slow to end it
        if not is_running(child):
            break
        time.sleep(0.1)
    assert not is_running(child)
    assert ended.summary().startswith("no end within")


def is_running(pid):
    try:
        with open(f"/proc/{pid}/stat") as stream:
            return stream.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_signals_statuses_and_memory_of_a_command_are_kept(ground):
    assert ground.run("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)").summary() == "ended by SIGSEGV"
    ended = ground.run("import sys; x = b'1' * 200_000_000; sys.exit('longmix: too large')")
    assert (ended.status, ended.summary()) == (1, "refused: too large")
    assert ended.peak_bytes > 200_000_000


def test_results_are_kept_and_an_attack_that_cannot_be_carried_out_did_not_hold(tmp_path, monkeypatch):
    calls = []

    def broken(ground):
        calls.append(ground.folder)
        raise OSError("no such device")

    monkeypatch.setitem(ATTACKS, "broken", ("builds", broken))
    for _ in range(2):
        results = attacked(["broken"], ["true"], tmp_path / "out.json")
    assert len(calls) == 1
    assert not calls[0].exists()
    assert (results["broken"]["is_held"], results["broken"]["seen"]) == (False, "not run: OSError: no such device")


def test_the_comparison_has_a_row_for_each_attack_and_counts_what_held():
    before = {"query-reads": {"is_held": False, "seen": "a|b"}, "rejects": {"is_held": True, "seen": "done"}}
    after = {"query-reads": {"is_held": True, "seen": "refused"}}
    lines = comparison(before, after).splitlines()
    assert "| query-reads | the file is not printed | **did not hold**: a\\|b | held: refused |" in lines
    assert "| rejects | ends within 120 s | held: done | not run |" in lines
    assert lines[-3:] == ["Before: 1 of 2 held.", "", "After: 1 of 1 held."]


def test_names_of_attacks_are_unique():
    assert not set(ATTACKS) & set(FULL)
    assert all(len(expected) <= 40 for expected, _ in (ATTACKS | FULL).values())


def test_mutations_change_the_file_and_are_seeded():
    raw = arrow_bytes()
    drawn = [mutated(raw, random.Random(seed)) for seed in range(50)]
    assert drawn == [mutated(raw, random.Random(seed)) for seed in range(50)]
    assert sum(each != raw for each in drawn) >= 45
    assert any(len(each) < len(raw) for each in drawn)


@pytest.mark.parametrize(
    ("way", "expected"), [("before", ["a", "kill"]), ("after", ["a", "b", "kill"]), ("time", ["a", "b", "c"])]
)
def test_a_kill_falls_before_or_after_its_step(monkeypatch, way, expected):
    happened = []

    def kill(group, number):
        assert (group, number) == (0, signal.SIGKILL)
        happened.append("kill")
        raise InterruptedError

    monkeypatch.setattr(os, "killpg", kill)
    step = Steps(Moment(way, 2)).counted(happened.append)
    try:
        for name in "abc":
            step(name)
    except InterruptedError:
        pass
    assert happened == expected


def test_moments_are_spread_over_the_run_and_move_to_an_earlier_place():
    rng = random.Random(0)
    drawn = [Undisturbed(10.0, 20).moment(rng) for _ in range(500)]
    times = sorted(moment.at for moment in drawn if moment.way == "time")
    steps = [moment.at for moment in drawn if moment.way != "time"]
    assert 200 < len(times) < 300
    assert times[0] < 0.5
    assert 9.5 < times[-1] <= 10
    assert set(steps) == set(range(1, 21))
    assert {moment.way for moment in drawn} == {"time", "before", "after"}
    assert Moment("before", 1).earlier().at == 1
    assert Moment("time", 1.0).earlier().at < 1


def test_the_stage_of_a_killed_build_is_the_last_that_began(tmp_path):
    assert stage_of(tmp_path) == "start"
    path = tmp_path / "progress.jsonl"
    begun, ended = ('{{"stage": "{}", "event": "%s"}}\n' % event for event in ("begun", "ended"))  # noqa: UP031
    path.write_text(begun.format("ingest") + ended.format("ingest"))
    assert stage_of(tmp_path) == "after ingest"
    path.write_text(begun.format("ingest") + begun.format("encode") + ended.format("ingest") + '{"stage": "scre')
    assert stage_of(tmp_path) == "encode"
    path.write_text(begun.format("ingest") + begun.format("encode"))
    assert stage_of(tmp_path) == "encode"


def test_the_table_of_kills_counts_by_kind_and_place():
    rows = [
        {"kind": "build", "where": "time: encode", "is_same": True},
        {"kind": "build", "where": "before: encode", "is_same": False},
        {"kind": "gc", "where": "after: then gc", "is_same": True},
    ]
    lines = table(rows).splitlines()
    assert "| build | 2 | 1 | 1 | 1 |" in lines
    assert "| gc | 1 | 0 | 1 | 1 |" in lines
    assert "| all | 3 | | | 2 |" in lines
    assert "| build: encode | 2 | 1 |" in lines
    assert sum(n for n, _ in KILLS.values()) == 10
