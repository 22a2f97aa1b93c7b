"""Training rows of small random mixes, against code that looks at every document in turn."""

from collections import defaultdict
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from pipelines import pack, plan
from pipelines.encode import EncodeParams
from pipelines.pack import PackParams
from pipelines.pack.packers import PACKERS
from pipelines.pack.scatter import check_all_written
from pipelines.store.files import HashedFile
from schemas.errors import SchemaError, StageError
from schemas.tables import ORDER
from tests.pipelines.corpora import ENCODE, SEEDS, built, engine_in


@pytest.mark.parametrize("packer", PACKERS)
def test_every_row_holds_the_tokens_that_its_segments_name(tmp_path, packer):
    for seed in SEEDS:
        mix = built(seed, tmp_path / str(seed), packer)
        draws, sequences = mix.rows(mix.draws), mix.rows(mix.sequences)
        assert sum(d["document_stop"] - d["document_start"] for d in draws) == mix.params.budget_tokens
        assert [row["sequence_id"] for row in sequences] == list(range(len(sequences)))  # of one group
        places = defaultdict(list)
        for row in sequences:
            ids = []
            for s in row["segments"]:
                domain, document = mix.corpus.kept[s["document_id"]]
                assert domain == s["domain"]
                ids += document[s["document_start"] : s["document_stop"]]
                places[s["document_id"], s["epoch"]] += range(s["document_start"], s["document_stop"])
            assert row["input_ids"] == ids, f"{seed=}"
            assert row["n_tokens"] == len(ids) <= 128
            lengths = [s["document_stop"] - s["document_start"] for s in row["segments"]]
            assert row["cu_seqlens"] == np.cumsum([0, *lengths]).tolist()
        drawn = {(d["document_id"], d["epoch"]): list(range(d["document_start"], d["document_stop"])) for d in draws}
        assert {key: sorted(tokens) for key, tokens in places.items()} == drawn, f"{seed=}"


def test_workers_do_not_change_the_result(tmp_path):
    one = built(1, tmp_path / "one")
    for workers in (2, 4):
        other = built(1, tmp_path / str(workers), workers=workers)
        assert (other.draws, other.targets, other.sequences) == (one.draws, one.targets, one.sequences)


def ids_of(mix, shards):
    return [[row["sequence_id"] for row in mix.rows([shard])] for shard in shards]


def test_the_id_of_a_row_is_its_group_and_its_place_there(tmp_path, monkeypatch):
    monkeypatch.setattr(plan, "GROUP_TOKENS", 400)
    mix = built(2, tmp_path)
    assert len(mix.sequences) == len(mix.draws) > 2
    ids = ids_of(mix, mix.sequences)
    assert ids == [[(g << 32) + k for k in range(len(rows))] for g, rows in enumerate(ids)]
    assert sum(row["n_tokens"] for row in mix.rows(mix.sequences)) == mix.params.budget_tokens


def test_a_group_does_not_depend_on_the_groups_before_it(tmp_path, monkeypatch):
    monkeypatch.setattr(plan, "GROUP_TOKENS", 400)
    mix = built(2, tmp_path)
    packing = PackParams(packer="best_fit", sequence_tokens=128)
    engine = engine_in(tmp_path, 1)
    mix.store.path(mix.sequences[-1]).unlink()  # it follows groups that are there
    assert pack.run(mix.corpus.tokens, mix.draws, [], ENCODE, packing, engine) == mix.sequences
    other = mix.store.write("DRAWS", mix.store.read(mix.draws[0]).slice(1))
    later = pack.run(mix.corpus.tokens, [other, *mix.draws[1:]], [], ENCODE, packing, engine)
    assert later[0] != mix.sequences[0]
    assert later[1:] == mix.sequences[1:]


def test_a_group_without_draws_has_a_shard_without_rows(tmp_path, monkeypatch):
    monkeypatch.setattr(plan, "GROUP_TOKENS", 400)
    mix = built(2, tmp_path)
    nothing = mix.store.write("DRAWS", mix.store.read(mix.draws[0]).slice(0, 0))
    packing = PackParams(packer="best_fit", sequence_tokens=128)
    for draws in ([nothing], [mix.draws[0], nothing, mix.draws[2]]):
        packed = pack.run(mix.corpus.tokens, draws, [], ENCODE, packing, engine_in(tmp_path, 2))
        assert [shard.n_rows > 0 for shard in packed] == [shard is not nothing for shard in draws]


def test_a_group_in_another_place_gets_other_ids(tmp_path, monkeypatch):
    monkeypatch.setattr(plan, "GROUP_TOKENS", 400)
    mix = built(2, tmp_path)
    packing = PackParams(packer="best_fit", sequence_tokens=128)
    later = pack.run(mix.corpus.tokens, mix.draws[1:], [], ENCODE, packing, engine_in(tmp_path, 1))
    assert [rows[0] for rows in ids_of(mix, later)] == [g << 32 for g in range(len(later))]
    assert [row["input_ids"] for row in mix.rows(later)] == [row["input_ids"] for row in mix.rows(mix.sequences[1:])]


TOKENIZER = Path(__file__).parents[3] / "examples" / "tokenizer" / "tokenizer.json"
REAL = EncodeParams(tokenizer=HashedFile.of(TOKENIZER), eos_token="<|endoftext|>")


def order_of(mix):
    """A shard of ORDER for each of DRAWS: by document_id, every fourth document a near copy of the first."""
    shards = []
    for draws in mix.draws:
        ids = sorted(set(mix.store.read(draws)["document_id"].to_pylist()))
        rows = [
            {
                "document_id": name, "partition": i % 2, "place": None if i % 4 == 3 else i, "restarts": False,
                "similarity_to_previous": None if i % 4 == 3 else i / 64, "near_set": ids[0] if i % 4 in (0, 3) else None,
                "neighbours": [], "similarities": [],
            }
            for i, name in enumerate(ids)
        ]  # fmt: skip
        shards.append(mix.store.write("ORDER", pa.Table.from_pylist(rows, ORDER)))
    return shards


@pytest.mark.parametrize(
    ("changes", "ids"),
    [
        ({"pad_documents_to": 8}, [0]),
        ({"pad_documents_to": 8, "pad_token": "<|im_end|>"}, [2]),
        ({"knot_tokens": ("<|im_end|>", "<repo_name>"), "knot_chunk_tokens": 16}, [2, 3]),
    ],
    ids=["padded with EOS", "padded with a token", "knots"],
)
def test_pad_and_marker_tokens_end_their_segment(tmp_path, changes, ids):
    mix = built(5, tmp_path)
    params = PackParams(packer="in_order", sequence_tokens=128, **changes)
    run = partial(pack.run, mix.corpus.tokens, mix.draws, order_of(mix), REAL, params)
    rows, seen, n_pad = mix.rows(run(engine_in(tmp_path, 2))), set(), 0
    for row in rows:
        assert row["n_tokens"] == len(row["input_ids"]) <= 128
        stops = row["cu_seqlens"][1:]
        for start, stop, s in zip(row["cu_seqlens"], stops, row["segments"], strict=False):
            document = mix.corpus.kept[s["document_id"]][1][s["document_start"] : s["document_stop"]]
            tokens = row["input_ids"][start:stop]
            assert tokens[: len(document)] == document
            assert len(tokens) == len(document) + s["n_pad"]
            seen |= set(tokens[len(document) :])
            n_pad += s["n_pad"]
    assert sum(row["n_tokens"] for row in rows) == mix.params.budget_tokens + n_pad
    assert seen == set(ids)
    assert n_pad > 20


def test_segments_name_the_place_on_the_path_and_the_similarity(tmp_path):
    mix = built(5, tmp_path, max_epochs=3)
    order = order_of(mix)
    shards = pack.run(mix.corpus.tokens, mix.draws, order, ENCODE, PackParams(sequence_tokens=128), engine_in(tmp_path))
    places = {row["document_id"]: row for row in mix.rows(order)}
    segments = [s for row in mix.rows(shards) for s in row["segments"]]
    for s in segments:
        expected = places[s["document_id"]] if s["epoch"] == 0 else {"place": None, "similarity_to_previous": None}
        assert s["path_position"] == expected["place"]
        assert s["similarity_to_previous"] == expected["similarity_to_previous"]
    assert {s["path_position"] is None for s in segments if s["epoch"] == 0} == {True, False}


def test_a_group_whose_path_changes_is_packed_again_alone(tmp_path, monkeypatch):
    monkeypatch.setattr(plan, "GROUP_TOKENS", 400)
    mix = built(2, tmp_path)
    params, engine, order = PackParams(packer="in_order", sequence_tokens=128), engine_in(tmp_path), order_of(mix)
    before = pack.run(mix.corpus.tokens, mix.draws, order, ENCODE, params, engine)
    table = mix.store.read(order[1])
    reverse = pa.array([None if p is None else len(table) - p for p in table["place"].to_pylist()], pa.int64())
    order[1] = mix.store.write("ORDER", table.set_column(2, ORDER.field("place"), reverse))
    after = pack.run(mix.corpus.tokens, mix.draws, order, ENCODE, params, engine)
    assert [a == b for a, b in zip(before, after, strict=True)] == [g != 1 for g in range(len(before))]
    with pytest.raises(SchemaError, match=r"^ORDER has 1 shards and DRAWS \d+; use tables of the same build$"):
        pack.run(mix.corpus.tokens, mix.draws, order[:1], ENCODE, params, engine)


def test_copies_never_share_a_row(tmp_path):
    mix = built(3, tmp_path, "concat", budget_tokens=2 * 10**4, max_epochs=3)
    assert max(d["epoch"] for d in mix.rows(mix.draws)) == 2
    for row in mix.rows(mix.sequences):
        copies = {(s["document_id"], s["epoch"]) for s in row["segments"]}
        assert len({document for document, _ in copies}) == len(copies)


def test_tokens_that_were_not_written_stop_the_stage():
    check_all_written(0, 7, 7)
    with pytest.raises(StageError, match="6 tokens of group 0 were written, not the 7 planned"):
        check_all_written(0, 6, 7)


def test_the_cases_that_the_tests_above_must_reach(tmp_path):
    cut = dropped = split = 0
    for seed in SEEDS:
        mix = built(seed, tmp_path / str(seed))
        cut += sum(d["why"] == "cut" for d in mix.rows(mix.draws))
        split += any(s["document_start"] > 0 for row in mix.rows(mix.sequences) for s in row["segments"])
        dropped += len(mix.corpus.kept) < sum(s.n_rows for s in mix.corpus.documents)
    assert min(cut, dropped, split) >= 3
