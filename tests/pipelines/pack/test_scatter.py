"""Tokens come to their planned places, however shards and row groups were cut and in whatever order they are written."""

import numpy as np
import pyarrow as pa
import pytest

from pipelines.pack.packers import Rows
from pipelines.pack.scatter import check_all_written, flat_file, pieces_of, scatter
from pipelines.pieces import PIECE, Index, by_shard
from pipelines.store import Store
from pipelines.store.files import Scratch
from schemas.errors import SchemaError, StageError
from schemas.tables import TOKENS
from tests.tokens import token_row

SEEDS = range(15)


def token_shards(seed, store):
    """Documents of tokens that name their document and place, in shards of several row groups; some were dropped."""
    rng = np.random.default_rng(seed)
    documents, shards = {}, []
    for shard in range(int(rng.integers(1, 4))):
        rows = []
        for row in range(int(rng.integers(0, 12))):
            name, n = f"d{shard}-{row}", int(rng.integers(1, 9))
            ids = [1_000 * len(documents) + i for i in range(n)] if rng.random() < 0.8 else None
            documents |= {name: ids} if ids else {}
            rows.append(token_row(name, ids))
        shards.append(store.write("TOKENS", pa.Table.from_pylist(rows, TOKENS)))
    return documents, shards


def plan(seed, documents):
    """For each group its draws and rows of pieces: some documents whole, some cut, some twice."""
    rng = np.random.default_rng(seed + 1_000)
    names, groups = sorted(documents), []
    for _ in range(int(rng.integers(1, 4))):
        draws = [names[i] for i in rng.integers(0, len(names), rng.integers(1, 9))] if names else []
        draw, start, stop = [], [], []
        for i, name in enumerate(draws):
            cut = int(rng.integers(0, len(documents[name]) + 1))
            for first, last in ((0, cut), (cut, len(documents[name]))):
                if first < last:
                    draw, start, stop = [*draw, i], [*start, first], [*stop, last]
        order = rng.permutation(len(draw))
        pieces = [np.array(column, np.int64)[order] for column in (draw, start, stop)]
        groups.append((draws, Rows.bare(*pieces, np.arange(len(order) + 1))))
    return groups


def draws_table(names, documents):
    return pa.table({"document_id": pa.array(names, pa.string()), "n_tokens": pa.array([len(documents[n]) for n in names], pa.int32())})  # fmt: skip


def test_flat_files_hold_the_pieces_one_after_another(tmp_path, monkeypatch):
    monkeypatch.setattr("pipelines.store.ROW_GROUP_BYTES", 200)
    for seed in SEEDS:
        store, scratch = Store(tmp_path / str(seed)), Scratch(tmp_path / f"scratch {seed}")
        scratch.folder.mkdir()
        documents, shards = token_shards(seed, store)
        groups = plan(seed, documents)
        index = Index(shards, store)
        placed = []
        for number, (draws, rows) in enumerate(groups):
            scratch.reserve(flat_file(number), 4 * int((rows.stop - rows.start).sum()))
            placed.append(pieces_of(number, rows, index.find(draws_table(draws, documents)), index))
        written = np.zeros(len(groups), np.int64)
        for shard, pieces in list(by_shard(placed))[::-1]:
            np.save(scratch.path("pieces.npy"), pieces)
            for group, n in scatter((shards[shard], "pieces.npy"), store, scratch):
                written[group] += n
            scatter((shards[shard], "pieces.npy"), store, scratch)  # a second attempt does no harm
        for number, (draws, rows) in enumerate(groups):
            parts = zip(rows.draw.tolist(), rows.start.tolist(), rows.stop.tolist(), strict=True)
            expected = [token for i, first, last in parts for token in documents[draws[i]][first:last]]
            assert np.fromfile(scratch.path(flat_file(number)), "<i4").tolist() == expected, f"{seed=}"
            assert written[number] == len(expected)


def test_the_cases_the_test_above_must_reach(tmp_path):
    n_shards, groups, dropped = [], [], 0
    for seed in SEEDS:
        documents, shards = token_shards(seed, Store(tmp_path / str(seed)))
        n_shards.append(len(shards))
        groups += plan(seed, documents)
        dropped += sum(s.n_rows for s in shards) > len(documents)
    assert max(n_shards) == 3
    assert dropped > 3
    assert any(len(set(draws)) < len(draws) for draws, _ in groups)
    assert any((rows.start > 0).any() for _, rows in groups)


def test_a_piece_behind_its_document_is_refused(tmp_path):
    store = Store(tmp_path)
    rows = [token_row("a", [1, 2]), token_row("b", None)]
    shard = store.write("TOKENS", pa.Table.from_pylist(rows, TOKENS))
    scratch = Scratch(tmp_path)
    scratch.reserve(flat_file(0), 40)
    np.save(scratch.path("pieces.npy"), np.array([(0, 1, 3, 0, 0)], PIECE))
    with pytest.raises(SchemaError, match=r"row 0 has no token 2; build it again"):
        scatter((shard, "pieces.npy"), store, scratch)


def test_a_group_is_complete_when_all_its_tokens_were_written():
    check_all_written(3, 0, 0)
    for n_written in (6, 8):
        with pytest.raises(StageError, match=rf"^pack: {n_written} tokens of group 3 were written, not the 7 planned"):
            check_all_written(3, n_written, 7)
