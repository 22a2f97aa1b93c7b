"""Packers beside each other: documents per CPU second, rows, padding, cuts and neighbours kept.

    python benchmarks/pack.py [--root ROOT] [--mix 128k] [--synthetic 300000] [--trl FOLDER]

Prints a Markdown table of rows of 128K, 64K and 8K, on the lengths of a built root's documents and draws, and on synthetic
lengths like those of a web corpus, log-normal with a median of 1,000 tokens. First copies are a path in the order in which
they come. Best of three runs; TRL, which is slow, runs once.

FOLDER is where `pip install --no-deps --target FOLDER trl` put TRL; without it TRL is left out. Its packing function also
assembles the tokens, of one byte here; all other packers only plan, since longmix moves tokens once, elsewhere.
"""

import argparse
import resource
import sys
from collections.abc import Callable
from pathlib import Path

import numba
import numpy as np
import pyarrow as pa

from pipelines.pack.arrangement import labels
from pipelines.pack.packers import PACKERS, Drawn, Rows
from pipelines.store import Store
from pipelines.versions import find_version, shards_of
from schemas.manifest import Manifest

CAPACITIES = (131_072, 65_536, 8_192)
OPEN_ROWS = 8


def first_fit(drawn: Drawn, capacity: int, _max_segments: int | None) -> Rows:
    """First-fit over OPEN_ROWS open rows: the first with room; the fullest is closed if there is none.

    A document longer than a row gives full rows and a remainder. Copies may share a row.
    """
    n_pieces = -(-drawn.lengths // capacity)
    draw = np.repeat(np.arange(len(drawn)), n_pieces)
    start = (np.arange(len(draw)) - np.repeat(np.cumsum(n_pieces) - n_pieces, n_pieces)) * capacity
    stop = np.minimum(start + capacity, drawn.lengths[draw])
    row = rows_of_first_fit(stop - start, capacity, OPEN_ROWS)
    order = np.argsort(row, kind="stable")
    return Rows.by_row(draw[order], start[order], stop[order], row[order])


@numba.njit(cache=True)
def rows_of_first_fit(lengths: np.ndarray, capacity: int, n_open: int) -> np.ndarray:
    """[p] the row of each piece."""
    row, number, room = np.empty(len(lengths), np.int64), np.arange(n_open), np.full(n_open, capacity)
    n_rows = n_open
    for i in range(len(lengths)):
        k = 0
        while k < n_open and room[k] < lengths[i]:
            k += 1
        if k == n_open:
            k = np.argmin(room)
            number[k], room[k], n_rows = n_rows, capacity, n_rows + 1
        row[i] = number[k]
        room[k] -= lengths[i]
    return row


def cpu_seconds(run: Callable, times: int) -> tuple[float, object]:
    best, result = float("inf"), None
    for _ in range(times):
        before = resource.getrusage(resource.RUSAGE_SELF)
        result = run()
        after = resource.getrusage(resource.RUSAGE_SELF)
        best = min(best, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return best, result


def measured(name: str, packer: Callable, drawn: Drawn, capacity: int) -> list[str]:
    packer(drawn, capacity, None)  # compiled
    seconds, rows = cpu_seconds(lambda: packer(drawn, capacity, None), 3)
    pieces = np.bincount(rows.draw, minlength=len(drawn))
    cut = pieces > np.maximum(1, -(-drawn.lengths // capacity))
    follows = (np.diff(rows.draw) == 1) & (np.diff(rows.row) == 0) & drawn.on_path[rows.draw[1:]]
    per_row = np.diff(rows.offsets)
    figures = padding(len(rows), drawn, capacity)
    cuts = f"{cut.sum():,} ({drawn.lengths[cut].sum() / drawn.lengths.sum():.2%})"
    neighbours = f"{follows.sum() / max(drawn.on_path.sum() - 1, 1):.1%}"
    return [name, speed(drawn, seconds), *figures, cuts, neighbours, f"{np.median(per_row):.0f}, {per_row.max():,}"]


def speed(drawn: Drawn, seconds: float) -> str:
    return f"{len(drawn) / seconds:,.0f}"


def padding(n_rows: int, drawn: Drawn, capacity: int) -> list[str]:
    return [f"{n_rows - drawn.fewest_rows(capacity):,}", f"{1 - drawn.lengths.sum() / n_rows / capacity:.3%}"]


def measured_trl(pack_bfd: Callable, drawn: Drawn, capacity: int) -> list[str]:
    offsets = np.concatenate([[0], np.cumsum(drawn.lengths)])
    ids = pa.ListArray.from_arrays(offsets.astype(np.int32), np.zeros(offsets[-1], np.int8))
    seconds, packed = cpu_seconds(lambda: pack_bfd(pa.table({"input_ids": ids}), capacity, "split"), 1)
    per_row = np.array([len(lengths) for lengths in packed["seq_lengths"].to_pylist()])
    segments = f"{np.median(per_row):.0f}, {per_row.max():,}"
    return ["TRL bfd_split", speed(drawn, seconds), *padding(len(packed), drawn, capacity), "0", "", segments]


def of_lengths(lengths: np.ndarray) -> Drawn:
    n = len(lengths)
    return Drawn(lengths.astype(np.int64), np.arange(n), np.zeros(n, np.int64), np.ones(n, bool))


def of_root(root: Path, mix: str | None) -> dict[str, Drawn]:
    """The encoded documents of a root, and the draws of a mix with first copies on the path."""
    folder = find_version(root.absolute(), mix)
    store, tables = Store(root.absolute(), run=None), shards_of(Manifest.of(folder))
    tokens = pa.concat_tables([store.read(shard, ("n_tokens",)) for shard in tables["TOKENS"]])
    columns = ("document_id", "epoch", "document_start", "document_stop")
    draws = pa.concat_tables([store.read(shard, columns) for shard in tables["DRAWS"]]).sort_by("epoch")
    lengths = draws["document_stop"].to_numpy().astype(np.int64) - draws["document_start"].to_numpy()
    on_path = draws["epoch"].to_numpy() == 0
    mixed = Drawn(lengths, labels(draws["document_id"]), np.zeros(len(draws), np.int64), on_path)
    return {"documents": of_lengths(tokens["n_tokens"].drop_null().to_numpy()), "draws": mixed}


def synthetic(n: int) -> Drawn:
    lengths = np.random.default_rng(0).lognormal(6.9, 1.35, n).astype(np.int64) + 1
    return of_lengths(np.minimum(lengths, 1_500_000))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path)
    parser.add_argument("--mix")
    parser.add_argument("--synthetic", type=int, default=300_000)
    parser.add_argument("--trl", type=Path)
    args = parser.parse_args()
    sets = of_root(args.root, args.mix) if args.root else {}
    sets["synthetic"] = synthetic(args.synthetic)
    pack_bfd = None
    if args.trl:
        sys.path.append(str(args.trl))
        from trl.data_utils import _pack_bfd as pack_bfd
    packers = {**PACKERS, f"first-fit, {OPEN_ROWS} open": first_fit}
    heads = ["lengths", "rows of", "packer", "documents / CPU s", "rows over the fewest", "padding"]
    heads += ["avoidable cuts (tokens in them)", "neighbours kept", "segments a row: median, most"]
    print("| " + " | ".join(heads) + " |\n|" + " --- |" * len(heads))
    for name, drawn in sets.items():
        for capacity in CAPACITIES:
            lines = [measured(packer, function, drawn, capacity) for packer, function in packers.items()]
            if pack_bfd:
                lines.append(measured_trl(pack_bfd, drawn, capacity))
            where = f"{name}: {len(drawn):,}, {drawn.lengths.sum() / 1e6:,.0f}M tokens"
            for line in lines:
                print(f"| {where} | {capacity // 1024}K | " + " | ".join(line) + " |", flush=True)


if __name__ == "__main__":
    main()
