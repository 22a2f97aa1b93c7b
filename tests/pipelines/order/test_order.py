"""The stage on small random mixes: groups, paths and near copies, against plain rules."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest

from pipelines import order, pack, plan
from pipelines.order.orders import ORDERS
from pipelines.order.products import one_thread, products
from pipelines.pack import PackParams
from schemas.tables import EMBEDDINGS
from tests.pipelines.corpora import ENCODE, SEEDS, built, engine_in
from tests.pipelines.order.mixes import ENCODER, PARAMS, embedded, ordered, tables_of


@pytest.mark.parametrize("groups", [1, 4])
def test_a_path_has_every_drawn_document_once(tmp_path, monkeypatch, groups):
    monkeypatch.setattr(plan, "GROUP_TOKENS", 10**9 if groups == 1 else 600)
    for seed in SEEDS:
        mix = built(seed, tmp_path / str(seed))
        made, vectors = ordered(mix, seed, tmp_path / str(seed))
        rows = [mix.rows([shard]) for shard in made["ORDER"]]
        draws = [mix.rows([shard]) for shard in made["DRAWS"]]
        assert len(rows) == len(draws) == len(mix.draws)
        assert sorted(str(row) for own in draws for row in own) == sorted(map(str, mix.rows(mix.draws)))
        for path, own in zip(rows, draws, strict=True):
            assert sorted(r["document_id"] for r in path) == sorted(d["document_id"] for d in own if d["epoch"] == 0)
            assert {d["document_id"] for d in own} == {r["document_id"] for r in path}, "copies are elsewhere"
            assert own == sorted(own, key=lambda d: (d["content_hash"], d["epoch"]))
            on_path = [r for r in path if r["place"] is not None]
            assert path[: len(on_path)] == on_path
            assert [r["place"] for r in on_path] == list(range(len(on_path)))
            check_similarities(path, on_path, vectors)


def check_similarities(path, on_path, vectors):
    for previous, row in pairwise(on_path):
        cosine = float(vectors[previous["document_id"]].astype(float) @ vectors[row["document_id"]].astype(float))
        assert row["similarity_to_previous"] == pytest.approx(cosine, abs=2e-6)
        listed = {path[j]["document_id"] for j in row["neighbours"]} | {
            r["document_id"]
            for r in [row]
            if previous["document_id"] in {path[j]["document_id"] for j in r["neighbours"]}
        }
        if previous["document_id"] in listed:
            assert not row["restarts"]
    if on_path:
        assert on_path[0]["restarts"]
        assert on_path[0]["similarity_to_previous"] is None
    for row in path:
        own = vectors[row["document_id"]].astype(float)
        for j, cosine in zip(row["neighbours"], row["similarities"], strict=True):
            assert cosine == pytest.approx(float(own @ vectors[path[j]["document_id"]].astype(float)), abs=2e-6)


def test_near_copies_are_those_of_every_pair_of_a_group(tmp_path):
    params = PARAMS.model_copy(update={"partition_documents": 10_000})
    n_left = 0
    for seed in SEEDS:
        mix = built(seed, tmp_path / str(seed))
        made, vectors = ordered(mix, seed, tmp_path / str(seed), params)
        (path,) = (mix.rows([shard]) for shard in made["ORDER"])
        (draws,) = (mix.rows([shard]) for shard in made["DRAWS"])
        ids = [d["document_id"] for d in draws if d["epoch"] == 0]  # by content_hash: n_bytes and source are equal
        with one_thread():
            x = np.stack([vectors[i] for i in ids])
            near = products(x, x) >= 900_000
        left = {ids[i] for i in range(len(ids)) if near[i, :i].any()}
        assert {r["document_id"] for r in path if r["place"] is None} == left
        alone = {ids[i] for i in range(len(ids)) if near[i].sum() - near[i, i] == 0}
        assert {r["document_id"] for r in path if r["near_set"] is None} == alone
        sets = {r["document_id"]: r["near_set"] for r in path}
        for i, j in zip(*np.nonzero(near), strict=True):
            assert sets[ids[i]] == sets[ids[j]]
        for name in set(sets.values()) - {None}:
            assert sets[name] == name
        n_left += len(left)
    assert n_left > 10, "an easy case"


def test_workers_do_not_change_the_result(tmp_path, monkeypatch):
    monkeypatch.setattr(plan, "GROUP_TOKENS", 300)
    results = []
    for workers in (1, 2, 4):
        mix = built(2, tmp_path / str(workers))
        results.append(ordered(mix, 2, tmp_path / str(workers), workers=workers)[0])
    assert len(results[0]["ORDER"]) > 2
    assert results[0] == results[1] == results[2]


def test_partitions_are_dealt_near_the_mix(tmp_path, monkeypatch):
    monkeypatch.setattr(plan, "GROUP_TOKENS", 700)
    mix = built(4, tmp_path)
    made, _ = ordered(mix, 4, tmp_path, PARAMS.model_copy(update={"partition_documents": 2}))
    tokens = {}
    for number, shard in enumerate(made["DRAWS"]):
        for row in mix.rows([shard]):
            drawn = row["document_stop"] - row["document_start"]
            tokens.setdefault(number, {}).setdefault(row["domain"], []).append(drawn)
    sizes = [sum(map(sum, own.values())) for own in tokens.values()]
    assert len(sizes) > 1
    assert max(sizes) < 1.5 * sum(sizes) / len(sizes)


def test_a_refresh_keeps_partitions_and_untouched_groups(tmp_path, monkeypatch):
    monkeypatch.setattr(plan, "GROUP_TOKENS", 600)
    mix = built(5, tmp_path)
    first, _ = ordered(mix, 5, tmp_path)
    removed = mix.rows([first["DRAWS"][0]])[0]["document_id"]
    fewer = [
        mix.store.write("DRAWS", table.filter(pa.array([i != removed for i in table["document_id"].to_pylist()])))
        for table in map(mix.store.read, mix.draws)
    ]
    second, _ = ordered(mix, 5, tmp_path, base=first, DRAWS=fewer)
    assert second["CENTROIDS"] == first["CENTROIDS"]
    assert second["ORDER"][1:] == first["ORDER"][1:]
    assert second["DRAWS"][1:] == first["DRAWS"][1:]
    assert second["ORDER"][0] != first["ORDER"][0]
    from_nothing, _ = ordered(mix, 5, tmp_path, DRAWS=fewer)
    assert from_nothing["CENTROIDS"] != first["CENTROIDS"]
    other = PARAMS.model_copy(update={"encoder": ENCODER.model_copy(update={"max_chunks": 3})})
    assert ordered(mix, 5, tmp_path, other, base=first)[0]["CENTROIDS"] != first["CENTROIDS"], "of another encoder"


def test_of_near_copies_the_one_of_the_base_stays(tmp_path):
    params = PARAMS.model_copy(update={"near_similarity": 0.3})
    mix = built(0, tmp_path)
    made, _ = ordered(mix, 0, tmp_path, params)
    left = [r["document_id"] for r in mix.rows(made["ORDER"]) if r["place"] is None]
    base = {"DRAWS": [mix.store.write("DRAWS", mix.store.read(mix.draws[0]).filter(
        pa.array([i == left[-1] for i in mix.store.read(mix.draws[0])["document_id"].to_pylist()])
    ))]}  # fmt: skip
    again, _ = ordered(mix, 0, tmp_path, params, base=base)
    assert left[-1] not in [r["document_id"] for r in mix.rows(again["ORDER"]) if r["place"] is None]


@pytest.mark.parametrize("by", [name for name in ORDERS if name != "random"])
def test_every_order_makes_a_path(tmp_path, by):
    mix = built(3, tmp_path)
    made, _ = ordered(mix, 3, tmp_path, PARAMS.model_copy(update={"by": by}))
    rows = mix.rows(made["ORDER"])
    assert len(rows) == len({d["document_id"] for d in mix.rows(mix.draws)})
    if not PARAMS.model_copy(update={"by": by}).needs_vectors:
        assert sorted(map(str, mix.rows(made["DRAWS"]))) == sorted(map(str, mix.rows(mix.draws)))
        assert made["CENTROIDS"] == []
        assert {r["similarity_to_previous"] for r in rows} == {None}
        assert {r["partition"] for r in rows} == {0}


def test_without_vectors_all_copies_are_in_the_group_of_the_first(tmp_path, monkeypatch):
    monkeypatch.setattr(plan, "GROUP_TOKENS", 3000)
    mix = built(3, tmp_path, budget_tokens=10**4)
    made, _ = ordered(mix, 3, tmp_path, PARAMS.model_copy(update={"by": "path"}))
    first = {}
    for number, shard in enumerate(mix.draws):
        first |= {d["document_id"]: number for d in mix.rows([shard]) if d["epoch"] == 0}
    groups = [mix.rows([shard]) for shard in made["DRAWS"]]
    assert len(groups) == len(mix.draws) > 1
    assert all(first[d["document_id"]] == number for number, own in enumerate(groups) for d in own)
    assert [mix.rows([shard]) for shard in mix.draws] != groups, "an easy case"
    packed = pack.run(
        mix.corpus.tokens,
        made["DRAWS"],
        made["ORDER"],
        ENCODE,
        PackParams(packer="in_order", sequence_tokens=512),
        engine_in(tmp_path),
    )
    assert sum(row["n_tokens"] for row in mix.rows(packed)) == sum(d["document_stop"] for own in groups for d in own)


def test_one_document_and_no_vector_at_all(tmp_path):
    mix = built(1, tmp_path)
    one = mix.store.read(mix.draws[0]).slice(0, 1)
    made, _ = ordered(mix, 1, tmp_path, DRAWS=[mix.store.write("DRAWS", one)])
    (row,) = mix.rows(made["ORDER"])
    assert (row["place"], row["restarts"], row["near_set"], row["neighbours"]) == (0, True, None, [])
    nothing = [
        mix.store.write("EMBEDDINGS", pa.Table.from_pylist(
            [{**r, "status": "empty" if r["status"] == "embedded" else r["status"], "vector": None} for r in mix.rows([s])],
            schema=EMBEDDINGS,
        )) for s in embedded(mix, 1)[0]
    ]  # fmt: skip
    made, _ = ordered(mix, 1, tmp_path, EMBEDDINGS=nothing)
    assert {r["near_set"] for r in mix.rows(made["ORDER"])} == {None}


def test_identical_documents_leave_one_on_the_path(tmp_path):
    mix = built(1, tmp_path)
    same = [
        mix.store.write("EMBEDDINGS", pa.Table.from_pylist(
            [{**r, "status": "embedded", "vector": [1.0, 0.0]} for r in mix.rows([s])], schema=EMBEDDINGS
        )) for s in embedded(mix, 1)[0]
    ]  # fmt: skip
    made, _ = ordered(mix, 1, tmp_path, EMBEDDINGS=same)
    rows = mix.rows(made["ORDER"])
    assert [r["place"] for r in rows].count(0) == 1
    assert len({r["near_set"] for r in rows}) == 1
    assert len([r for r in rows if r["place"] is None]) == len(rows) - 1


def test_a_second_run_makes_nothing(tmp_path):
    mix = built(2, tmp_path)
    first, _ = ordered(mix, 2, tmp_path)
    shards, _ = embedded(mix, 2)
    looking = replace(engine_in(tmp_path), looks_only=True)
    assert order.run(tables_of(mix, shards), PARAMS, ("s",), {}, looking) == first
