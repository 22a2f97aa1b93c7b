"""A stage makes what is not there and nothing else, on every runner, and its errors come out as what they were."""

import json

import pyarrow as pa
import pytest
from pydantic import BaseModel

from pipelines.stage import LOOK_UP, Read, Runner, actions_for, from_worker, run_shards
from pipelines.store import Store
from schemas.errors import NotMade, RecipeError, SchemaError, StageError
from schemas.tables import TOKENS
from tests.workers import worker_pool


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


def shards(store, n=5):
    rows = [{"document_id": f"d{i}", "n_tokens": None, "input_ids": None} for i in range(n)]
    return [store.write("TOKENS", pa.Table.from_pylist([row], schema=TOKENS)) for row in rows]


def run(store, found, runner, **changes):
    params = Params(**changes)
    actions = actions_for("dedup", 1, params, "DUPLICATES", [(Read(s, ("document_id",)),) for s in found])
    return run_shards(actions, verdicts, params, store, runner)


def events(store, event):
    lines = (store.root / "progress.jsonl").read_text().splitlines()
    return [line for line in map(json.loads, lines) if line["event"] == event]


@pytest.mark.parametrize("workers", [1, 3])
def test_a_stage_makes_each_shard_once_in_order(tmp_path, workers):
    store = Store(tmp_path)
    found = shards(store)
    made = run(store, found, Runner(workers=workers))
    assert [store.read(s)["document_id"].to_pylist() for s in made] == [[f"d{i}"] for i in range(5)]
    assert len(events(store, "made")) == 5
    assert run(store, found, Runner(workers=workers)) == made
    assert len(events(store, "made")) == 5


def test_only_what_is_missing_is_made(tmp_path):
    store = Store(tmp_path)
    found = shards(store)
    made = run(store, found[:3], Runner(workers=1))
    store.path(made[1]).write_bytes(b"damaged")
    again = run(store, found, Runner(workers=1))
    assert again[:3] == made
    assert [e["shards"] for e in events(store, "begun")] == [3, 3]
    assert store.is_whole(made[1])


def test_an_action_depends_on_the_columns_it_reads(tmp_path):
    store = Store(tmp_path)
    one, two = (
        store.write("TOKENS", pa.table({"document_id": ["a"], "n_tokens": pa.array([n], pa.int32()), "input_ids": pa.array([[1] * n], pa.list_(pa.int32()))}))
        for n in (1, 2)
    )  # fmt: skip

    def name(shard, *columns, version=1, **changes):
        return actions_for("s", version, Params(**changes), "X", [(Read(shard, columns),)])[0].name

    assert name(one, "document_id") == name(two, "document_id")
    assert name(one, "document_id", "n_tokens") != name(two, "document_id", "n_tokens")
    assert name(one, "document_id") != name(one, "document_id", version=2)
    assert name(one, "document_id") != name(one, "document_id", fault="recipe")


def test_looking_makes_nothing(tmp_path):
    store = Store(tmp_path)
    found = shards(store)
    with pytest.raises(NotMade):
        run(store, found, Runner(runner=LOOK_UP))
    made = run(store, found, Runner(workers=1))
    assert run(store, found, Runner(runner=LOOK_UP)) == made


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize(
    ("fault", "kind", "said"),
    [
        ("recipe", RecipeError, "mixes/x.toml: plan.budget: 3; choose: more"),
        ("schema", SchemaError, "DUPLICATES: columns missing: ['verdict', 'kept_id', 'similarity']; not declared: []; of the wrong type: []"),
        ("disk", StageError, "dedup: OSError: [Errno 28] No space left on device"),
    ],
)  # fmt: skip
def test_a_workers_error_comes_out_as_what_it_was(tmp_path, workers, fault, kind, said):
    store = Store(tmp_path)
    with pytest.raises(kind) as error:
        run(store, shards(store), Runner(workers=workers), fault=fault)
    assert str(error.value) == said
    assert type(error.value) is kind


def test_an_error_without_words_is_still_one_line():
    assert str(from_worker("pack", KeyboardInterrupt())) == "pack: KeyboardInterrupt: "


def test_workers_in_another_process_make_the_same(tmp_path):
    here, there = Store(tmp_path / "here"), Store(tmp_path / "there")
    with worker_pool() as runner:
        found = run(there, shards(there), runner)
        with pytest.raises(RecipeError, match=r"choose: more$"):
            run(there, shards(there), runner, fault="recipe")
    assert found == run(here, shards(here), Runner(workers=1))
