import numpy as np
import pyarrow as pa
import pytest

from pipelines.order.members import Members
from schemas.errors import SchemaError
from tests.pipelines.corpora import SEEDS, built
from tests.pipelines.order.mixes import tables_of


def members(mix, base=(), sources=("s",), **changes):
    return Members.of(tables_of(mix, [], **changes), sources, list(base), mix.store)


def test_members_are_the_drawn_documents_where_they_lie(tmp_path):
    for seed in SEEDS:
        mix = built(seed, tmp_path / str(seed))
        found = members(mix)
        drawn = {d["document_id"]: d["content_hash"] for d in mix.rows(mix.draws)}
        assert dict(zip(found.document_id.to_pylist(), found.content_hash.to_pylist(), strict=True)) == drawn
        assert found.content_hash.to_pylist() == sorted(found.content_hash.to_pylist())
        rows = [mix.rows([shard]) for shard in mix.corpus.documents]
        for i, document_id in enumerate(found.document_id.to_pylist()):
            assert rows[found.shard[i]][found.row[i]]["document_id"] == document_id
        assert found.find(pa.chunked_array([found.document_id])).tolist() == list(range(len(found)))


def test_dedups_order_is_base_then_sources_then_longer_then_content(tmp_path):
    mix = built(1, tmp_path)
    documents = []
    rng = np.random.default_rng(0)
    for shard in mix.corpus.documents:
        rows = mix.rows([shard])
        for row in rows:
            row |= {"source": str(rng.choice(["s", "t"])), "n_bytes": int(rng.integers(1, 4))}
        documents.append(mix.store.write("DOCUMENTS", pa.Table.from_pylist(rows, schema=mix.store.read(shard).schema)))
    draws = mix.store.read(mix.draws[0])
    base = mix.store.write("DRAWS", draws.slice(5, 9))
    kept = set(draws["document_id"].slice(5, 9).to_pylist())
    found = members(mix, [base], ("t", "s"), DOCUMENTS=documents)
    of = {row["document_id"]: row for row in mix.rows(documents)}
    ids = found.document_id.to_pylist()
    slow = sorted(
        ids, key=lambda i: (i not in kept, ["t", "s"].index(of[i]["source"]), -of[i]["n_bytes"], of[i]["content_hash"])
    )
    assert [ids[i] for i in np.argsort(found.rank)] == slow
    assert sorted(found.rank.tolist()) == list(range(len(ids)))


def test_the_digest_changes_with_dedups_order_and_with_paths(tmp_path):
    mix = built(2, tmp_path)
    found = members(mix)
    turned = Members(
        found.document_id, found.content_hash, found.content, found.rank[::-1].copy(), found.shard, found.row, found.paths
    )  # fmt: skip
    renamed = Members(
        found.document_id, found.content_hash, found.content, found.rank, found.shard, found.row,
        found.paths.set_column(1, "file", pa.array(["g"] * len(found))),
    )  # fmt: skip
    assert len({found.digest(), turned.digest(), renamed.digest()}) == 3
    some = np.arange(0, len(found), 2)
    assert found.take(some).document_id.to_pylist() == found.document_id.to_pylist()[::2]


def test_a_draw_of_a_document_that_is_not_encoded_is_an_error(tmp_path):
    mix = built(3, tmp_path)
    rows = mix.rows(mix.draws)
    rows[0]["document_id"] = "0" * 32
    wrong = mix.store.write("DRAWS", pa.Table.from_pylist(rows, schema=mix.store.read(mix.draws[0]).schema))
    with pytest.raises(SchemaError, match=f"DRAWS: {'0' * 32}: no such document is encoded"):
        members(mix, DRAWS=[wrong])
