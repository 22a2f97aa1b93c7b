"""Views of a row, against one token at a time."""

import re
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from pipelines.rows import (
    EMPTY,
    FULL,
    IGNORED,
    PARTIAL,
    Chunks,
    document_mask,
    labels,
    mask_blocks,
    may_attend,
    plain_positions,
    pose_positions,
    position_ids,
    randpos_positions,
)
from schemas.tables import SEQUENCES

SEEDS = range(60)
DOC = Path(__file__).parents[2] / "docs" / "mix.md"


def row_of(seed):
    rng = np.random.default_rng(seed)
    lengths = rng.integers(1, 9, int(rng.integers(1, 6)))
    pads = [int(rng.integers(0, n)) for n in lengths]
    segments = [
        {
            "document_id": f"d{i}", "domain": "a", "document_start": 0, "document_stop": int(n) - pad, "epoch": 0,
            "path_position": None, "similarity_to_previous": None, "n_pad": pad,
        }
        for i, (n, pad) in enumerate(zip(lengths, pads, strict=True))
    ]  # fmt: skip
    n = int(lengths.sum())
    return {
        "sequence_id": (3 << 32) + seed, "input_ids": rng.integers(0, 100, n).tolist(), "n_tokens": n,
        "cu_seqlens": [0, *np.cumsum(lengths).tolist()], "segments": segments,
    }  # fmt: skip


def scalar(row):
    """The same row as pyarrow has it."""
    return pa.Table.from_pylist([row], SEQUENCES).to_struct_array().combine_chunks()[0]


def segment_of(row, token):
    return sum(token >= stop for stop in row["cu_seqlens"][1:])


def test_positions_restart_with_each_segment_or_run_on():
    for seed in SEEDS:
        row = row_of(seed)
        expected = [t - row["cu_seqlens"][segment_of(row, t)] for t in range(row["n_tokens"])]
        for each in (row, scalar(row)):
            assert position_ids(each).tolist() == expected
            assert position_ids(each, restart=False).tolist() == list(range(row["n_tokens"]))


def test_labels_leave_out_padding_and_the_first_token_of_a_segment():
    for seed in SEEDS:
        row, expected = row_of(seed), []
        for token, label in enumerate(row["input_ids"]):
            s = segment_of(row, token)
            segment, start = row["segments"][s], row["cu_seqlens"][s]
            real = segment["document_stop"] - segment["document_start"]
            expected.append(label if 0 < token - start < real else IGNORED)
        for each in (row, scalar(row)):
            assert labels(each).tolist() == expected
        assert row == row_of(seed)  # not changed


def test_the_mask_is_the_one_of_each_pair():
    for seed in SEEDS:
        row = row_of(seed)
        cuts, n = np.array(row["cu_seqlens"]), row["n_tokens"]
        mask = document_mask(cuts)
        expected = [[j <= i and segment_of(row, i) == segment_of(row, j) for j in range(n)] for i in range(n)]
        assert mask.tolist() == expected
        lazy = may_attend(cuts)
        assert [lazy(np.array([i]), np.arange(n)).tolist() for i in range(n)] == expected
        for size in (1, 3, 4):
            parts = [range(k, min(k + size, n)) for k in range(0, n, size)]
            blocks = [[{mask[i, j] for i in a for j in b} for b in parts] for a in parts]
            kinds = [[FULL if b == {True} else EMPTY if b == {False} else PARTIAL for b in line] for line in blocks]
            found = mask_blocks(cuts, size)
            assert found.tolist() == kinds, f"{seed=}, {size=}"


def long_row(sequence_id, n):
    return {"sequence_id": sequence_id, "n_tokens": n}


def test_pose_reads_two_chunks_at_ascending_positions_below_the_target():
    for seed in range(400):
        n, window, target = [(100, 20, 64), (20, 20, 64), (7, 20, 64), (1, 20, 64), (100, 20, 20)][seed % 5]
        chunks = pose_positions(long_row(seed, n), window, target, 1)
        tokens, positions = chunks.tokens(), chunks.position_ids()
        assert len(tokens) == len(positions) == min(n, window)
        assert (np.diff(tokens) > 0).all()
        assert (np.diff(positions) > 0).all()
        assert (tokens[0], positions[0]) == (0, 0)
        assert tokens[-1] < n
        assert positions[-1] < target
        assert chunks.stops[0] <= (min(n, window) + 1) // 2


def test_pose_draws_each_value_of_its_ranges_about_as_often():
    """r in 1 ... 3, the end in 6 ... 10, the skip in 0 ... 4, independent of each other."""
    drawn = [pose_positions(long_row(i, 10), 6, 10, 7) for i in range(7_500)]
    values = [(c.stops[0], c.stops[1], c.skips[1]) for c in drawn]
    counts = {value: values.count(value) for value in set(values)}
    assert set(counts) == {(r, end, skip) for r in (1, 2, 3) for end in range(6, 11) for skip in range(5)}
    assert min(counts.values()) > 60
    assert max(counts.values()) < 145  # 100 expected


def test_draws_depend_on_the_row_and_the_seed_alone():
    one = pose_positions(long_row(5, 1_000), 100, 9_000, 0)
    assert one == pose_positions(long_row(5, 1_000), 100, 9_000, 0)
    assert one == pose_positions(scalar(row_of(1) | long_row(5, 1_000)), 100, 9_000, 0)
    assert one != pose_positions(long_row(6, 1_000), 100, 9_000, 0)
    assert one != pose_positions(long_row(5, 1_000), 100, 9_000, 1)
    assert one == Chunks((0, 568), (39, 629), (0, 2764))  # draws of a published view do not change


def test_plain_and_randomized_positions():
    assert plain_positions(long_row(0, 9), 5).position_ids().tolist() == [0, 1, 2, 3, 4]
    assert plain_positions(long_row(0, 3), 5).tokens().tolist() == [0, 1, 2]
    seen = np.zeros(12, int)
    for i in range(600):
        positions = randpos_positions(long_row(i, 9), 6, 12, 3)
        assert len(positions) == 6
        assert (np.diff(positions) > 0).all()
        seen[positions] += 1
    assert seen.min() > 240
    assert seen.max() < 360  # 300 expected
    assert len(randpos_positions(long_row(0, 4), 6, 12, 3)) == 4
    assert randpos_positions(long_row(0, 12), 12, 12, 3).tolist() == list(range(12))


@pytest.mark.parametrize("function", [pose_positions, randpos_positions])
def test_a_target_below_the_window_is_refused(function):
    with pytest.raises(ValueError, match="target_tokens = 5 is below window_tokens = 6; raise it"):
        function(long_row(0, 9), 6, 5, 0)
    with pytest.raises(ValueError, match="window_tokens = 0 is below 1; raise it"):
        function(long_row(0, 9), 0, 5, 0)


def test_the_example_of_the_documentation_runs(tiny, tmp_path, monkeypatch):
    (code,) = re.findall(r"```python\n(.*?)```", DOC.read_text(), re.DOTALL)
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path))
    names = {}
    exec(code.replace("data/mixes/datasets/128k/latest", str(tiny.folder)), names)
    (first,) = names["rows"].take(1)
    assert len(first["position_ids"]) == len(first["input_ids"]) == len(first["labels"])
