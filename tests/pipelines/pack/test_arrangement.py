"""The path comes first, in its order; near copies and further copies share a row with none of their kind."""

import numpy as np
import pyarrow as pa
import pytest

from pipelines.keys import contents, keyed, salt
from pipelines.pack import arrangement, balance
from pipelines.pack.arrangement import arrange, padded, path_of
from pipelines.pack.packers import PACKERS, Rows
from pipelines.pack.params import PackParams
from schemas.errors import SchemaError
from schemas.tables import DRAWS, ORDER
from tests.pipelines.corpora import digest
from tests.pipelines.pack.packers.cases import rows_of

SEEDS = range(60)


@pytest.fixture(autouse=True, scope="module")
def few_swaps():
    """The order of rows is what test_balance.py tests, and no subject here."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(balance, "SWAPS_PER_ROW", 40)
        yield


def tables(seed):
    """DRAWS and ORDER of a group: some documents have further copies, some are near copies, which have no place."""
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 25))
    draws, order = [], []
    places = iter(rng.permutation(n).tolist())
    for i in range(n):
        length = int(rng.integers(1, 60))
        for epoch in range(int(rng.choice([1, 1, 1, 2, 4]))):
            draw = {
                "document_id": f"d{i:02}", "content_hash": digest(f"{seed} {i}"), "domain": str(rng.choice(["a", "b"])),
                "n_tokens": length + 5, "epoch": epoch, "document_start": 5, "document_stop": 5 + length, "why": "short",
            }  # fmt: skip
            draws.append(draw)
        near = rng.random() < 0.3
        order.append({
            "document_id": f"d{i:02}", "partition": int(rng.integers(0, 3)), "place": None if near else next(places),
            "restarts": False, "similarity_to_previous": None if near else float(rng.integers(0, 8)) / 8,
            "near_set": "d00" if near or i == 0 else None, "neighbours": [], "similarities": [],
        })  # fmt: skip
    rng.shuffle(draws)
    rng.shuffle(order)
    return pa.Table.from_pylist(draws, DRAWS), pa.Table.from_pylist(order, ORDER)


def params(packer="in_order", **changes):
    return PackParams(**{"packer": packer, "sequence_tokens": 60, "seed": 3, **changes})


def drawn_by(monkeypatch, draws, order, **changes):
    """What the packer gets, and the draws in that order."""
    calls = []

    def spy(drawn, capacity, max_segments):
        calls.append((drawn, capacity, max_segments))
        return PACKERS["concat"](drawn, capacity, max_segments)

    monkeypatch.setitem(arrangement.PACKERS, "in_order", spy)
    rows = arrange(draws, order, params(**changes))
    monkeypatch.undo()
    ((drawn, capacity, max_segments),) = calls
    return drawn, capacity, max_segments, rows


def test_the_path_is_packed_first_then_near_copies_then_further_ones(monkeypatch):
    for seed in SEEDS:
        draws, order = tables(seed)
        rows = draws.to_pylist()
        by_id = {row["document_id"]: row for row in order.to_pylist()}
        salts = np.array([salt("pack", 3, row["epoch"]) for row in rows], np.uint64)
        keys = keyed(contents(draws["content_hash"]), salts).tolist()

        def rank(i, rows=rows, by_id=by_id, keys=keys):
            place = by_id[rows[i]["document_id"]]["place"]
            on_path = rows[i]["epoch"] == 0 and place is not None
            return (0, place) if on_path else (1, rows[i]["epoch"], keys[i])

        expected = sorted(range(len(rows)), key=rank)
        drawn, capacity, _, _ = drawn_by(monkeypatch, draws, order)
        assert capacity == 60
        assert drawn.lengths.tolist() == [rows[i]["document_stop"] - 5 for i in expected]
        assert drawn.on_path.tolist() == [rank(i)[0] == 0 for i in expected]
        of = [by_id[rows[i]["document_id"]] for i in expected]
        assert drawn.partition.tolist() == [row["partition"] for row in of]
        sets = [row["near_set"] or row["document_id"] for row in of]
        same = drawn.documents[:, None] == drawn.documents[None, :]
        assert same.tolist() == [[a == b for b in sets] for a in sets], f"{seed=}"


def test_without_an_order_first_copies_are_the_path_in_keyed_order(monkeypatch):
    for seed in SEEDS:
        draws, _ = tables(seed)
        rows = draws.to_pylist()
        salts = np.array([salt("pack", 3, row["epoch"]) for row in rows], np.uint64)
        keys = keyed(contents(draws["content_hash"]), salts).tolist()
        expected = sorted(range(len(rows)), key=lambda i: (rows[i]["epoch"], keys[i]))
        drawn, _, _, _ = drawn_by(monkeypatch, draws, None)
        assert drawn.lengths.tolist() == [rows[i]["document_stop"] - 5 for i in expected]
        assert drawn.on_path.tolist() == [rows[i]["epoch"] == 0 for i in expected]
        assert set(drawn.partition.tolist()) == {0}


@pytest.mark.parametrize("packer", PACKERS)
def test_neither_copies_nor_near_copies_share_a_row(packer):
    for seed in SEEDS:
        draws, order = tables(seed)
        ids, epochs = draws["document_id"].to_pylist(), draws["epoch"].to_pylist()
        sets = {row["document_id"]: row["near_set"] or row["document_id"] for row in order.to_pylist()}
        rows = arrange(draws, order, params(packer))
        placed = []
        for row in rows_of(rows):
            groups = [sets[ids[draw]] for draw, *_ in row]
            assert len(set(groups)) == len(groups), f"{seed=}"
            placed += [(ids[draw], epochs[draw], t) for draw, a, b in row for t in range(a, b)]
        stops = draws["document_stop"].to_pylist()
        expected = [(ids[i], epochs[i], t) for i in range(len(ids)) for t in range(5, stops[i])]
        assert sorted(placed) == sorted(expected)


def test_place_and_similarity_are_those_of_the_first_copy():
    draws, order = tables(7)
    by_id = {row["document_id"]: row for row in order.to_pylist()}
    path = path_of(draws, order).to_pylist()
    assert any(row["place"] is None for row in path)
    for draw, row in zip(draws.to_pylist(), path, strict=True):
        expected = by_id[draw["document_id"]]
        for name in ("place", "similarity_to_previous"):
            assert row[name] == (expected[name] if draw["epoch"] == 0 else None)
        assert (row["partition"], row["near_set"]) == (expected["partition"], expected["near_set"])


def test_a_draw_that_the_order_lacks_is_named():
    draws, order = tables(7)
    with pytest.raises(SchemaError, match=r"^DRAWS: d\d\d: no such document in ORDER; use tables of the same build$"):
        arrange(draws, order.slice(1), params())


@pytest.mark.parametrize("packer", PACKERS)
def test_each_piece_is_padded_to_a_multiple(packer):
    for seed in SEEDS:
        draws, order = tables(seed)
        rows = arrange(draws, order, params(packer, pad_documents_to=6))
        assert (rows.lengths % 6 == 0).all()
        assert (rows.n_pad < 6).all()
        assert (rows.stop > rows.start).all()
        assert rows.n_tokens.max() <= 60
        tokens = np.zeros(len(draws), int)
        np.add.at(tokens, rows.draw, rows.stop - rows.start)
        assert tokens.tolist() == [stop - 5 for stop in draws["document_stop"].to_pylist()], f"{seed=}"


def test_padding_by_hand():
    rows = Rows.bare(np.array([0, 0, 1]), np.array([0, 5, 0]), np.array([5, 6, 2]), np.array([0, 1, 3]))
    found = padded(rows, np.array([21, 8]), 4)
    assert (found.start.tolist(), found.stop.tolist()) == ([0, 20, 0], [20, 21, 8])
    assert found.n_pad.tolist() == [0, 3, 0]
    assert found.n_tokens.tolist() == [20, 12]


def test_with_knots_rows_leave_room_for_the_markers():
    n_markers = 0
    for seed in SEEDS:
        draws, order = tables(seed)
        rows = arrange(draws, order, params(knot_tokens=("x", "y"), knot_chunk_tokens=7))
        assert rows.n_tokens.max() <= 60
        n_markers += int(rows.n_pad.sum())
    assert n_markers > 100
