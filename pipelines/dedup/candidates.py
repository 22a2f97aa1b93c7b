"""SIGNATURES -> components: which texts may be near duplicates of one another, found without reading a text.

Two texts are candidates when they share a band and their signatures agree in enough places. An index of places goes
through the shuffle: 12 bytes for each band of a text, 300 for a text at a threshold of 0.7, in blocks of many texts.
Signatures lie in one flat file of the scratch folder, where any worker finds any text's by its position.

Components of the graph of candidates are only the unit of work: no candidates lie in two. They may be coarser than
that graph, as a bucket of more than MOST texts is taken for one component rather than compared pair by pair.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import apache_beam as beam
import numpy as np
from numba import njit

from pipelines.dedup.minhash import band_keys, n_agreeing
from pipelines.stage import Engine
from pipelines.store import Shard, Store
from pipelines.store.files import Scratch

RECORD = np.dtype([("key", "<u8"), ("position", "<u4")])
SIGNATURES = "signatures"  # the file of all signatures
MOST = 64  # texts of a bucket that are compared pair by pair
BLOCK_RECORDS = 1_000_000  # about, of one worker's join at a time: 12 MB
IN_MEMORY = 2_000_000  # texts whose blocks the runner's own table may hold; of more, it holds the places in files


@dataclass(frozen=True)
class Join:
    """What every worker of a join knows."""

    scratch: Scratch
    n_bands: int
    rows: int
    n_permutations: int
    min_agreeing: int
    n_blocks: int
    spill: bool  # blocks lie in files, and the shuffle moves their places

    def signed(self) -> np.ndarray:
        """[n_documents, n_permutations] uint32 by position, mapped into memory."""
        return self.scratch.map(SIGNATURES, np.uint32).reshape(-1, self.n_permutations)


@dataclass(frozen=True)
class Part:
    """A shard of SIGNATURES, the position of its first row, and the rows that take part."""

    shard: Shard
    first: int
    rows: np.ndarray


@dataclass(frozen=True)
class Place:
    """Some records of a file."""

    path: Path
    first: int
    n: int


def components(signatures: Sequence[Shard], texts: np.ndarray, join: Join, engine: Engine) -> np.ndarray:
    """[n_documents] int64: the first position of each document's component; its own where it has no candidate.

    Args:
        signatures: all shards, in the order in which positions count their rows.
        texts: the positions of those that take part, ascending.
    """
    firsts = np.cumsum([0, *(shard.n_rows for shard in signatures)])
    cuts = np.searchsorted(texts, firsts)
    parts = [
        Part(shard, int(first), texts[begin:end] - first)
        for shard, first, begin, end in zip(signatures, firsts[:-1], cuts[:-1], cuts[1:], strict=True)
        if begin < end
    ]
    join.scratch.reserve(SIGNATURES, int(firsts[-1]) * join.n_permutations * 4)
    with engine.pipeline("dedup") as p:
        _ = (
            p
            | "Signatures" >> beam.Create(parts, reshuffle=False)
            | "Spread" >> beam.Reshuffle()
            | "Bands" >> beam.FlatMap(blocks, join, engine.store)
            | "Meet" >> beam.GroupByKey()
            | "Join" >> beam.Map(join_block, join)
        )
    root = np.arange(firsts[-1])
    for path in sorted(join.scratch.folder.glob("edges-*.npy")):
        unite(root, np.load(path))
    settle(root)
    return root


def blocks(part: Part, join: Join, store: Store) -> Iterator[tuple[int, bytes | Place]]:
    """(block, records) of a shard's bands; its signatures are put at their positions on the way."""
    column = store.read(part.shard, ["signature"])["signature"].combine_chunks()
    signed = column.flatten().to_numpy().reshape(-1, join.n_permutations)
    join.scratch.write_at(SIGNATURES, signed, part.first * join.n_permutations * 4)
    records = np.empty(len(part.rows) * join.n_bands, RECORD)
    records["key"] = band_keys(signed[part.rows], join.n_bands, join.rows).ravel()
    records["position"] = np.repeat(part.first + part.rows, join.n_bands)
    block = (records["key"] >> np.uint64(32)) * np.uint64(join.n_blocks) >> np.uint64(32)
    records = records[np.argsort(block, kind="stable")]
    ends = np.cumsum(np.bincount(block.astype(np.int64), minlength=join.n_blocks)).tolist()
    path = join.scratch.path(f"records-{part.first}")
    if join.spill:
        records.tofile(path)
    for number, (first, last) in enumerate(zip([0, *ends], ends, strict=False)):
        if first < last:
            yield number, Place(path, first, last - first) if join.spill else records[first:last].tobytes()


def load(block: bytes | Place) -> np.ndarray:
    if isinstance(block, bytes):
        return np.frombuffer(block, RECORD)
    return np.fromfile(block.path, RECORD, block.n, offset=block.first * RECORD.itemsize)


def join_block(block: tuple[int, Iterable[bytes | Place]], join: Join) -> None:
    """Write the edges between the texts that meet in a block's buckets."""
    number, parts = block
    records = np.concatenate([load(part) for part in parts])
    order = np.argsort(records["key"], kind="stable")
    edges = connect(
        records["key"][order], records["position"][order].astype(np.int64), join.signed(), join.min_agreeing, MOST
    )
    with join.scratch.writing(f"edges-{number}.npy") as stream:
        np.save(stream, edges)


@njit(cache=True, nogil=True)
def connect(keys: np.ndarray, positions: np.ndarray, signed: np.ndarray, floor: int, most: int) -> np.ndarray:
    """[n_edges, 2] positions: as few edges as join those texts of each bucket that have a path of candidates.

    Args:
        keys: ascending; a run of equal ones is a bucket.
        floor: in how many places candidates agree.
        most: a bucket of more texts is joined whole, in as many steps as it has texts.
    """
    edges, n = np.empty((len(keys), 2), np.int64), 0
    root = np.empty(most, np.int64)
    first = 0
    while first < len(keys):
        last = first + 1
        while last < len(keys) and keys[last] == keys[first]:
            last += 1
        size = last - first
        root[: min(size, most)] = np.arange(min(size, most))
        for i in range(1, size):
            for j in range(i if size <= most else 1):
                if size <= most:
                    if find(root, i) == find(root, j):
                        continue
                    if n_agreeing(signed[positions[first + i]], signed[positions[first + j]]) < floor:
                        continue
                    root[find(root, i)] = find(root, j)
                edges[n, 0], edges[n, 1] = positions[first + j], positions[first + i]
                n += 1
        first = last
    return edges[:n]


@njit(cache=True, nogil=True)
def find(root: np.ndarray, i: int) -> int:
    while root[i] != i:
        root[i] = root[root[i]]
        i = root[i]
    return i


@njit(cache=True, nogil=True)
def unite(root: np.ndarray, edges: np.ndarray) -> None:
    """Join the components of both ends of each edge under the first position of the two."""
    for e in range(len(edges)):
        one, other = find(root, edges[e, 0]), find(root, edges[e, 1])
        root[max(one, other)] = min(one, other)


@njit(cache=True, nogil=True)
def settle(root: np.ndarray) -> None:
    """Make every root the component's own: one look leads to it."""
    for i in range(len(root)):
        root[i] = root[root[i]]  # what stands before i is settled
