"""Groups hold whole components in the order of the rule, and find their verdicts and their texts again."""

from collections import Counter
from hashlib import blake2b

import numpy as np
import pyarrow as pa
import pytest
from pydantic import BaseModel

from pipelines.batches import batches
from pipelines.dedup import verify
from pipelines.dedup.candidates import Join
from pipelines.dedup.precedence import Ranked, hash_bytes, hex_digits
from pipelines.dedup.shingles import Window, shingles
from pipelines.dedup.verify import (
    SHINGLES,
    Group,
    Layout,
    Verify,
    find_near,
    group_components,
    read_texts,
    texts_by_shard,
    write_shingles,
)
from pipelines.store import Shard, Store
from pipelines.store.files import Scratch
from schemas.errors import StageError
from schemas.tables import DOCUMENTS

SEEDS = range(40)


class Params(BaseModel):
    threshold: float = 0.7


def digest(*parts):
    return blake2b(repr(parts).encode(), digest_size=16).hexdigest()


# -- groups


def components(seed):
    """(ranked, root) of documents in components of one to six."""
    rng = np.random.default_rng(seed)
    n = int(rng.integers(0, 60))
    root = np.arange(n)
    for i in range(1, n):
        if rng.random() < 0.7:
            root[i] = root[rng.integers(max(0, i - 5), i)]
    hashes = hash_bytes(pa.chunked_array([[digest(seed, i) for i in range(n)]], pa.string()))
    rank, without_base = rng.permutation(n), rng.permutation(n)
    if seed % 3 == 0:
        without_base = rank.copy()
    return Ranked(hashes, hashes, rank, np.arange(n), without_base, rng.random(n) < 0.5), root


def groups_of(seed, params=None):
    ranked, root = components(seed)
    return group_components(ranked, root, (params or Params(),)), ranked, root


def test_a_group_holds_whole_components_in_the_order_of_the_rule(monkeypatch):
    monkeypatch.setattr(verify, "GROUP_TEXTS", 4)
    for seed in SEEDS:
        groups, ranked, root = groups_of(seed)
        sizes = Counter(root.tolist())
        positions = [p for group in groups for p in group.positions.tolist()]
        assert sorted(positions) == [i for i in range(len(root)) if sizes[root[i]] > 1], f"{seed=}"
        roots = [set(root[group.positions].tolist()) for group in groups]
        assert sum(map(len, roots)) == len(set().union(*roots))
        for group in groups:
            assert (np.diff(ranked.rank[group.positions]) > 0).all()
            assert group.hashes == hex_digits(ranked.content_hash[group.positions])
            assert group.kept_in_base.tolist() == ranked.text_kept_in_base[group.positions].tolist()


def test_a_component_goes_to_the_group_of_its_smallest_hash(monkeypatch):
    """So it stays there whatever other components come and go."""
    monkeypatch.setattr(verify, "GROUP_TEXTS", 4)
    for seed in SEEDS:
        groups, ranked, root = groups_of(seed)
        n_members = sum(len(group.positions) for group in groups)
        bits = max(1, n_members // 4).bit_length() - 1
        for group in groups:
            smallest = {min(hex_digits(ranked.content_hash[root == r])) for r in root[group.positions]}
            assert len({int(h, 16) >> (128 - bits) for h in smallest}) == 1, f"{seed=}"


def test_more_texts_are_more_groups_up_to_a_limit(monkeypatch):
    monkeypatch.setattr(verify, "GROUP_TEXTS", 1)
    n_groups = []
    for most in (1, 4, 1024):
        monkeypatch.setattr(verify, "MAX_GROUPS", most)
        n_groups.append(len(groups_of(1)[0]))
        assert n_groups[-1] <= most
    assert n_groups[0] == 1
    assert n_groups[1] > 1
    assert n_groups[2] > n_groups[1]


def test_a_group_is_named_by_its_texts_in_their_order_and_by_the_rule():
    for seed in SEEDS:
        groups, ranked, root = groups_of(seed)
        if not groups:
            continue
        (group,) = groups
        assert (group.name == group.name_without_base) == (
            sorted(group.positions, key=lambda p: ranked.text_rank_without_base[p]) == group.positions.tolist()
        )
        again = Ranked(**{**ranked.__dict__, "rank": ranked.text_rank_without_base})
        assert group_components(again, root, (Params(),))[0].name == group.name_without_base
        assert groups_of(seed, Params(threshold=0.8))[0][0].name != group.name


def test_the_groups_the_tests_above_must_reach():
    drawn = [groups_of(seed)[0] for seed in SEEDS]
    assert any(not groups for groups in drawn)
    assert {g.name == g.name_without_base for groups in drawn for g in groups} == {True, False}


# -- what was verified before


def group(kept_in_base, name="aa11", name_without_base="bb22"):
    hashes = [digest(i) for i in range(len(kept_in_base))]
    return Group(name, name_without_base, np.arange(len(hashes)), hashes, np.array(kept_in_base))


def near(store, *dropped):
    rows = {
        "content_hash": pa.array([digest(i) for i in dropped], pa.string()),
        "kept_hash": pa.array([digest(0)] * len(dropped), pa.string()),
        "similarity": pa.array([0.9] * len(dropped), pa.float64()),
    }
    return [store.write("NEAR", pa.table(rows))]


def test_a_group_is_looked_up_under_both_names(tmp_path):
    store = Store(tmp_path)
    assert find_near(group([True, False]), store) is None
    without_base = store.commit("verify", "bb22", near(store, 1))
    assert find_near(group([True, False]), store) == without_base
    assert find_near(group([True, False], name_without_base="aa11"), store) is None
    own = store.commit("verify", "aa11", near(store, 1, 2))
    assert find_near(group([True, False]), store) == own


def test_verdicts_made_without_the_base_count_where_they_kept_what_the_base_kept(tmp_path):
    store = Store(tmp_path)
    made = store.commit("verify", "bb22", near(store, 1, 3))
    assert find_near(group([True, False, True, False]), store) == made
    assert find_near(group([True, False, False, False]), store) is None
    assert find_near(group([False, True, True, False]), store) is None


# -- texts


def test_wanted_texts_are_found_in_their_shards():
    for seed in SEEDS:
        rng = np.random.default_rng(seed)
        sizes = rng.integers(0, 6, rng.integers(1, 8)).tolist()
        shards = [Shard("DOCUMENTS", f"{i:032x}", n, {}) for i, n in enumerate(sizes)]
        places = [(shard, row) for shard, n in zip(shards, sizes, strict=True) for row in range(n)]
        chosen = rng.permutation(len(places))[: rng.integers(0, len(places) + 1)]
        groups = [Group("", "", part, [], part) for part in np.array_split(chosen, rng.integers(1, 4))]
        n_shingles = rng.integers(0, 9, len(places))
        layout = Layout.of(groups, n_shingles)
        texts = texts_by_shard(groups, shards, layout)
        assert [t.shard for t in texts] == [s for s in shards if any(places[p][0] == s for p in chosen)], f"{seed=}"
        assert all(len(t.rows) and (np.diff(t.rows) > 0).all() for t in texts)
        found = sorted((t.shard.content_hash, r, g) for t in texts for r, g in zip(t.rows.tolist(), t.groups.tolist(), strict=True))  # fmt: skip
        slow = sorted((places[p][0].content_hash, places[p][1], g) for g, each in enumerate(groups) for p in each.positions)  # fmt: skip
        assert found == slow, f"{seed=}"
        assert all(sum(sizes[: shards.index(t.shard)]) == t.first for t in texts)
        spans = {p: span for g in groups for p, span in zip(g.positions.tolist(), layout.spans(g.positions).tolist(), strict=True)}  # fmt: skip
        assert {p: b - a for p, (a, b) in spans.items()} == {p: n_shingles[p] for p in spans}
        own = [
            (t.first + r, [a, b]) for t in texts for r, a, b in zip(t.rows, t.places[:-1], t.places[1:], strict=True)
        ]
        assert sorted(spans.items()) == sorted(own)
        assert layout.places[-1] == sum(n_shingles[p] for p in spans)


def test_only_row_groups_that_hold_a_wanted_text_are_read(tmp_path, monkeypatch):
    monkeypatch.setattr("pipelines.store.ROW_GROUP_BYTES", 1_500)
    rows = [
        {"document_id": digest(i), "content_hash": digest(i), "source": "s", "domain": "d", "file": "f", "record": i, "n_bytes": 40, "text": f"{i:040d}"}
        for i in range(40)
    ]  # fmt: skip
    store = Store(tmp_path)
    file = store.open(store.write("DOCUMENTS", pa.Table.from_pylist(rows, DOCUMENTS)))
    n_rows = file.metadata.row_group(0).num_rows
    assert file.num_row_groups > 4

    class Counted:
        num_row_groups, metadata, read = file.num_row_groups, file.metadata, []

        def read_row_group(self, number, columns):
            self.read.append(number)
            return file.read_row_group(number, columns)

    wanted = np.array([0, n_rows - 1, n_rows, 3 * n_rows + 1])
    texts = [text for batch in read_texts(Counted(), wanted) for text in batch.to_pylist()]
    assert texts == [f"{i:040d}" for i in wanted]
    assert Counted.read == [0, 1, 3]
    assert list(read_texts(Counted(), np.array([], np.int64))) == []


def documents_of(store, texts):
    rows = [
        {"document_id": digest(i), "content_hash": digest(i), "source": "s", "domain": "d", "file": "f", "record": i, "n_bytes": 40, "text": text}
        for i, text in enumerate(texts)
    ]  # fmt: skip
    return store.write("DOCUMENTS", pa.Table.from_pylist(rows, DOCUMENTS))


def written(tmp_path, texts, n_shingles):
    """The file of shingles of all texts, and the groups that were reported."""
    store, scratch = Store(tmp_path), Scratch(tmp_path / "scratch")
    scratch.folder.mkdir(exist_ok=True)
    groups = [
        Group("", "", np.arange(0, len(texts), 2), [], None),
        Group("", "", np.arange(1, len(texts), 2), [], None),
    ]
    layout = Layout.of(groups, n_shingles)
    scratch.reserve(SHINGLES, int(layout.places[-1]) * 8)
    join = Join(scratch, n_bands=25, rows=5, n_permutations=128, min_agreeing=75, n_blocks=1)
    (part,) = texts_by_shard(groups, [documents_of(store, texts)], layout)
    reported = list(write_shingles(part, Verify(join, 0.7, Window(5)), store))
    return scratch.map(SHINGLES, np.uint64).tolist(), reported


def test_shingles_are_written_at_their_places(tmp_path, monkeypatch):
    """Texts of several parts, several batches and several row groups."""
    monkeypatch.setattr("pipelines.store.ROW_GROUP_BYTES", 200_000)
    monkeypatch.setattr("pipelines.dedup.shingles.MAX_HASHES", 5_000)
    monkeypatch.setattr(batches, "__defaults__", (30_000,))
    texts = ["", *(" ".join(f"{n}{i}" for i in range(n)) for n in (9, 3, 12_000, 40, 7, 15_000, 1))]
    values, offsets = shingles(pa.array(texts), Window(5))
    assert written(tmp_path, texts, np.diff(offsets)) == (values.tolist(), [(0, None), (1, None)])


def test_signatures_of_other_texts_are_refused(tmp_path):
    with pytest.raises(StageError, match=r"SIGNATURES: not made from DOCUMENTS/\w+; run `longmix check`"):
        written(tmp_path, ["a b c", "d e f g h i j"], np.array([1, 4]))
