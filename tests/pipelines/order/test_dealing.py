import numpy as np

from pipelines import plan
from pipelines.order.dealing import assigned, centroids_of, draws_by_group, partitions_in, tokens_by
from pipelines.order.embedded import Embedded
from pipelines.order.members import Members
from pipelines.order.products import one_thread, products
from tests.pipelines.corpora import built, engine_in
from tests.pipelines.order.mixes import PARAMS, embedded, tables_of


def made(tmp_path, monkeypatch, seed=4):
    monkeypatch.setattr(plan, "GROUP_TOKENS", 700)
    mix = built(seed, tmp_path)
    shards, vectors = embedded(mix, seed)
    members = Members.of(tables_of(mix, shards), ("s",), [], mix.store)
    read, engine = Embedded(shards, members, mix.store), engine_in(tmp_path)
    with one_thread():
        middle = centroids_of(read, mix.draws, PARAMS.model_copy(update={"partition_documents": 3}), [], engine)
    return mix, read, vectors, middle, engine


def test_centroids_say_what_they_were_made_of(tmp_path, monkeypatch):
    mix, read, vectors, (shard,), _engine = made(tmp_path, monkeypatch)
    rows = mix.rows([shard])
    assert [row["partition"] for row in rows] == list(range(len(rows)))
    assert {row["group_number"] for row in rows} == set(range(len(mix.draws)))
    centres, group = partitions_in(shard, mix.store)
    assert group.tolist() == [row["group_number"] for row in rows]
    with one_thread():
        partition, cosine = assigned(read, centres)
        x = np.stack([vectors[i] for i in read.members.document_id.to_pylist()])
        every = products(x, centres)
    assert (partition == every.argmax(axis=1)).all()
    assert (cosine == every.max(axis=1)).all()
    for p, row in enumerate(rows):
        assert row["n_documents"] == (partition == p).sum()
        mean = cosine[partition == p].mean() / 1e6 if (partition == p).any() else 0
        assert abs(row["mean_similarity"] - mean) < 1e-9


def test_tokens_are_counted_by_partition_and_domain(tmp_path, monkeypatch):
    mix, read, _, (shard,), _ = made(tmp_path, monkeypatch)
    with one_thread():
        partition, _ = assigned(read, partitions_in(shard, mix.store)[0])
    found = tokens_by(partition, partition.max() + 1, mix.draws, read, mix.store)
    ids = read.members.document_id.to_pylist()
    draws = mix.rows(mix.draws)
    first = list(dict.fromkeys(d["domain"] for d in draws))
    for p in range(len(found)):
        for k, domain in enumerate(first):
            own = sum(
                d["document_stop"] - d["document_start"] for d in draws
                if d["domain"] == domain and partition[ids.index(d["document_id"])] == p
            )  # fmt: skip
            assert found[p, k] == own


def test_a_draw_is_in_the_group_of_its_partition(tmp_path, monkeypatch):
    mix, read, _, (shard,), engine = made(tmp_path, monkeypatch)
    with one_thread():
        centres, group = partitions_in(shard, mix.store)
        partition, _ = assigned(read, centres)
        shards = draws_by_group(read, mix.draws, shard, engine)
    ids = read.members.document_id.to_pylist()
    assert len(shards) == len(mix.draws) > 1
    for number, own in enumerate(shards):
        for row in mix.rows([own]):
            assert group[partition[ids.index(row["document_id"])]] == number


def test_the_base_of_another_seed_is_not_kept(tmp_path, monkeypatch):
    mix, read, _, middle, engine = made(tmp_path, monkeypatch)
    params = PARAMS.model_copy(update={"partition_documents": 3})
    with one_thread():
        assert centroids_of(read, mix.draws, params, middle, engine) == middle
        other_size = params.model_copy(update={"partition_documents": 99})
        assert centroids_of(read, mix.draws, other_size, middle, engine) == middle, "a refresh keeps its partitions"
        assert centroids_of(read, mix.draws, params.model_copy(update={"seed": 1}), middle, engine) != middle
