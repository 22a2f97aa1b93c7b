"""The engine makes what is missing and nothing else, on every runner; looking changes nothing; errors keep their type."""

import json
import threading
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pytest
from apache_beam.options.pipeline_options import DirectOptions, StandardOptions
from pydantic import BaseModel

from pipelines.stage import Engine, Read, Runner, ShardStage, from_worker, over_each
from pipelines.store import Store
from schemas.errors import DamagedError, NotMade, RecipeError, SchemaError, StageError
from schemas.tables import NEAR, TOKENS
from tests.kills import fingerprint
from tests.tokens import token_row


class Params(BaseModel):
    fault: str = ""


def verdicts(tokens: pa.Table, params: Params) -> pa.Table:
    """A stand-in stage: keeps every document."""
    if params.fault == "recipe":
        raise RecipeError("mixes/x.toml: plan.budget: 3; choose: more")
    if params.fault == "schema":
        return tokens
    if params.fault == "disk":
        raise OSError(28, "No space left on device")
    n = len(tokens)
    nothing = {"kept_id": pa.nulls(n, pa.string()), "similarity": pa.nulls(n, pa.float64())}
    return pa.table({"document_id": tokens["document_id"], "verdict": ["kept"] * n, **nothing})


STAGE = ShardStage("dedup", 1, "DUPLICATES", verdicts)


@pytest.fixture
def engine(tmp_path):
    return Engine(Store(tmp_path), Runner(workers=1))


def token_shards(store, n=5):
    return [store.write("TOKENS", pa.Table.from_pylist([token_row(f"d{i}", None)], schema=TOKENS)) for i in range(n)]


def run(tokens, engine, **changes):
    return engine.shards(STAGE, Params(**changes), [(Read(shard, ("document_id",)),) for shard in tokens])


def events(store, event):
    path = store.root / "progress.jsonl"
    lines = path.read_text().splitlines() if path.exists() else []
    return [line for line in map(json.loads, lines) if line["event"] == event]


class Job(NamedTuple):
    """An action that makes an empty shard of NEAR."""

    name: str


def make(job, store):
    store.commit("jobs", job.name, [store.write("NEAR", NEAR.empty_table())], 1)


# -- what is made


@pytest.mark.parametrize("workers", [1, 3])
def test_a_stage_makes_each_shard_once_in_order(tmp_path, workers):
    engine = Engine(Store(tmp_path), Runner(workers=workers))
    tokens = token_shards(engine.store)
    made = run(tokens, engine)
    assert [engine.store.read(s)["document_id"].to_pylist() for s in made] == [[f"d{i}"] for i in range(5)]
    assert len(events(engine.store, "made")) == 5
    assert run(tokens, engine) == made
    assert len(events(engine.store, "made")) == 5


def test_only_what_is_missing_is_made(engine):
    store = engine.store
    tokens = token_shards(store)
    made = run(tokens[:3], engine)
    store.path(made[1]).unlink()
    again = run(tokens, engine)
    assert again[:3] == made
    assert engine.damaged == [f"DUPLICATES/{made[1].content_hash}"]
    assert [(e["shards"], e["there"]) for e in events(store, "begun")] == [(3, 0), (3, 2)]
    assert len(events(store, "ended")) == 2
    assert store.is_whole(made[1])


def test_no_action_is_no_pipeline_and_no_report(engine):
    assert run([], engine) == []
    assert events(engine.store, "begun") == []


def test_equal_actions_are_made_once_and_returned_as_often_as_asked(engine):
    tokens = token_shards(engine.store, 2)
    made = run([tokens[0], tokens[1], tokens[0]], engine)
    assert made[0] == made[2] != made[1]
    assert [e["shards"] for e in events(engine.store, "begun")] == [2]
    assert len(events(engine.store, "made")) == 2


def test_once_makes_once_and_reports(engine):
    calls = []

    def made():
        calls.append(1)
        return token_shards(engine.store, 2)

    shards = engine.once("plan", "ab12", made, n_documents=7)
    assert engine.once("plan", "ab12", made) == shards == token_shards(engine.store, 2)
    assert len(calls) == 1
    assert [(e["shards"], e["there"]) for e in events(engine.store, "begun")] == [(1, 0), (0, 1)]
    assert [e["documents"] for e in events(engine.store, "made")] == [7]


def test_a_result_may_lie_in_another_place(engine):
    """dedup looks for a group under a second name."""
    elsewhere = token_shards(engine.store, 1)
    found = engine.each(
        "jobs",
        [Job("aa11"), Job("bb22")],
        over_each(make, engine.store),
        find=lambda job: elsewhere if job.name == "aa11" else engine.store.find("jobs", job.name),
        n_shards=lambda jobs: 10 * len(jobs),
    )
    assert found[0] == elsewhere
    assert [shard.table for shard in found[1]] == ["NEAR"]
    assert [(e["shards"], e["there"]) for e in events(engine.store, "begun")] == [(10, 1)]
    assert engine.store.find("jobs", "aa11") is None


def test_what_was_made_is_looked_up_where_it_may_lie(engine):
    """The stage that is reported need not be the one that commits."""
    (shards,) = engine.each(
        "reported", [Job("aa11")], over_each(make, engine.store), find=lambda job: engine.store.find("jobs", job.name)
    )
    assert [shard.table for shard in shards] == ["NEAR"]


def test_a_pipeline_that_commits_nothing_is_an_error(engine):
    with pytest.raises(StageError, match=r"^jobs: action aa11 ended without a result; run the build again$"):
        engine.each("jobs", [Job("aa11")], over_each(lambda _: None))


# -- looking


def test_looking_makes_nothing(engine):
    tokens = token_shards(engine.store)
    look = engine.look()
    assert (look.looks_only, look.store, look.runner) == (True, engine.store, engine.runner)
    before = fingerprint(engine.store.root)
    with pytest.raises(NotMade, match=r"^dedup$"):
        run(tokens, look)
    with pytest.raises(NotMade, match=r"^plan$"):
        look.once("plan", "ab12", lambda: pytest.fail("made"))
    with pytest.raises(NotMade, match=r"^x$"), look.pipeline("x"):
        pytest.fail("a pipeline")
    with pytest.raises(NotMade, match=r"^x$"):
        look.find("x", "ab12")
    with look.scratch("dedup") as scratch:
        assert not scratch.folder.exists()
    assert fingerprint(engine.store.root) == before
    made = run(tokens, engine)
    before = fingerprint(engine.store.root)
    assert run(tokens, look) == made
    assert fingerprint(engine.store.root) == before
    assert len(events(engine.store, "begun")) == 1


def test_looking_leaves_the_scratch_of_a_running_build(engine):
    with engine.scratch("dedup") as scratch:
        scratch.path("file").write_bytes(b"x")
        with engine.look().scratch("dedup"):
            pass
        assert scratch.path("file").read_bytes() == b"x"
    assert not scratch.folder.exists()


def test_an_engine_for_a_root_that_is_being_built_reads_without_verifying(engine):
    (shard, *_) = token_shards(engine.store)
    looking = Engine.looking(engine.store.root)
    assert looking.looks_only
    assert looking.store.run is None
    raw = bytearray(engine.store.path(shard).read_bytes())
    engine.store.seal_path(shard).unlink()
    assert looking.store.read(shard).num_rows == 1
    engine.store.path(shard).write_bytes(raw)
    with pytest.raises(DamagedError):
        engine.store.read(shard)


# -- runners


@pytest.mark.parametrize("workers", [1, 2, 5])
def test_on_one_machine_workers_are_threads(workers):
    """Beam's other modes start gRPC servers on every address."""
    options = Runner(workers=workers).pipeline_options()
    direct = options.view_as(DirectOptions)
    assert direct.direct_running_mode == "in_memory"
    assert direct.direct_num_workers == workers
    assert options.view_as(StandardOptions).runner == "FnApiRunner"


def test_without_a_number_there_is_a_worker_a_core(monkeypatch):
    monkeypatch.setattr("pipelines.stage.cpu_count", lambda: 7)
    assert Runner().pipeline_options().view_as(DirectOptions).direct_num_workers == 7
    assert Runner(workers=3).n_workers == 3
    monkeypatch.setattr("pipelines.stage.cpu_count", lambda: None)
    assert Runner().n_workers == 1


def test_another_runner_takes_its_own_options():
    options = Runner(runner="PortableRunner", workers=4, options={"direct_num_workers": 9}).pipeline_options()
    assert options.get_all_options(drop_default=True) == {"runner": "PortableRunner", "direct_num_workers": 9}


MEETING: list[threading.Barrier] = []


def meet(job, store):
    """Waits for another action: alone it fails."""
    MEETING[0].wait(timeout=60)
    make(job, store)


def test_two_workers_work_at_the_same_time(tmp_path):
    engine = Engine(Store(tmp_path), Runner(workers=2))
    MEETING[:] = [threading.Barrier(2)]
    engine.each("jobs", [Job("aa11"), Job("bb22")], over_each(meet, engine.store))
    assert len(events(engine.store, "made")) == 2


def test_workers_in_another_process_make_the_same(tmp_path, cluster):
    there = Engine(Store(tmp_path / "there"), cluster)
    made = run(token_shards(there.store), there)
    with pytest.raises(RecipeError, match=r"choose: more$"):
        run(token_shards(there.store), there, fault="recipe")
    here = Engine(Store(tmp_path / "here"), Runner(workers=1))
    assert made == run(token_shards(here.store), here)


# -- errors


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize(
    ("fault", "kind", "message"),
    [
        ("recipe", RecipeError, "mixes/x.toml: plan.budget: 3; choose: more"),
        ("schema", SchemaError, "DUPLICATES: columns missing: ['verdict', 'kept_id', 'similarity']; not declared: []; of the wrong type: []"),
        ("disk", StageError, "dedup: OSError: [Errno 28] No space left on device; free space on the disk and run the same command, which resumes"),
    ],
)  # fmt: skip
def test_a_workers_error_keeps_its_type(tmp_path, workers, fault, kind, message):
    engine = Engine(Store(tmp_path), Runner(workers=workers))
    with pytest.raises(kind) as error:
        run(token_shards(engine.store), engine, fault=fault)
    finding, _, log = str(error.value).partition(" (the traceback is in ")
    assert finding == message
    assert bool(log) == (kind is StageError)
    if log:
        path = Path(log.removesuffix(")"))
        assert path.parent == tmp_path / "logs"
        assert "in verdicts" in path.read_text()
    assert type(error.value) is kind
    assert events(engine.store, "ended") == []


def test_a_shard_that_is_damaged_when_a_worker_reads_it_names_itself(tmp_path):
    engine = Engine(Store(tmp_path), Runner(workers=2))
    tokens = token_shards(engine.store)
    path = engine.store.path(tokens[3])
    path.write_bytes(path.read_bytes()[:-9] + b"x" * 9)  # of the same length: a look-up sees no difference
    with pytest.raises(DamagedError, match=f"^TOKENS/{tokens[3].content_hash}: the file is missing or differs"):
        run(tokens, engine)


@pytest.mark.parametrize(
    ("error", "kind", "message"),
    [
        (KeyboardInterrupt(), StageError, "pack: KeyboardInterrupt"),
        (RecipeError("a: b; c [while running 'Make-ptransform-7']"), RecipeError, "a: b; c"),
        (RuntimeError("Traceback (most recent call last):\n  File \"x\"\nschemas.errors.SchemaError: DRAWS: no [while running 'Write']\n\nmore"), SchemaError, "DRAWS: no"),
        (RuntimeError("RuntimeError: RuntimeError: schemas.errors.DamagedError: TOKENS/ab: gone"), DamagedError, "TOKENS/ab: gone"),
        (RuntimeError("Traceback\nOSError: [Errno 28] No space left on device [while running 'Make']\nduring\nValueError: other"), StageError, "pack: OSError: [Errno 28] No space left on device; free space on the disk and run the same command, which resumes"),
        (RuntimeError("Traceback\nOSError: first\nschemas.errors.RecipeError: the cause"), RecipeError, "the cause"),
        (RuntimeError("Traceback\nKeyError: 'a name [while running Make]'"), StageError, "pack: KeyError: a name"),
        (ValueError("no name of an error in it"), StageError, "pack: ValueError: no name of an error in it"),
        (RuntimeError("ExceptionGroup: LongmixErrors: nothing of ours"), StageError, "pack: RuntimeError: ExceptionGroup: LongmixErrors: nothing of ours"),
    ],
)  # fmt: skip
def test_an_error_that_a_runner_handed_on_as_text(tmp_path, error, kind, message):
    converted = from_worker("pack", error, tmp_path)
    assert type(converted) is kind
    finding, _, log = str(converted).partition(" (the traceback is in ")
    again = "; run the build again, and report the error if it comes back"
    assert finding == (message if ";" in message or kind is not StageError else message + again)
    assert (tmp_path / "logs").exists() == bool(log) == (kind is StageError)
